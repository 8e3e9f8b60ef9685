"""SNS in MiniStack."""

from ministack.services import sns

# The protocols whose subscriptions must be confirmed.
CONFIRMING = ("email", "email-json", "http", "https")


def attributes(params):
    """The attributes of a request."""
    found, number = {}, 1
    while key := sns._p(params, f"Attributes.entry.{number}.key"):
        found[key] = sns._p(params, f"Attributes.entry.{number}.value")
        number += 1
    return found


def create_topic(params, original=sns._create_topic):
    """MiniStack returns an existing topic even if its tags or attributes differ."""
    name = sns._p(params, "Name")
    topic = sns._topics.get(f"arn:aws:sns:{sns.get_region()}:{sns.get_account_id()}:{name}")
    if topic:
        tags, reason = sns._param_tags(params), "Invalid parameter: Attributes Reason: Topic already exists with"
        if topic["tags"] != tags:
            return sns._error("InvalidParameter", f"{reason} different tags", 400)
        if any(topic["attributes"].get(key) != value for key, value in attributes(params).items()):
            return sns._error("InvalidParameter", f"{reason} different attributes", 400)
    return original(params)


def subscribe(params, original=sns._subscribe):
    """MiniStack confirms e-mail subscriptions, and ignores `ReturnSubscriptionArn`."""
    answer = original(params)
    topic, error = sns._get_topic(sns._p(params, "TopicArn"))
    protocol, endpoint = sns._p(params, "Protocol"), sns._p(params, "Endpoint")
    if answer[0] != 200 or error or protocol not in CONFIRMING:
        return answer
    sub = next(sub for sub in topic["subscriptions"] if (sub["protocol"], sub["endpoint"]) == (protocol, endpoint))
    if sub["token"] is None and "confirmation" not in sub:
        sub.update(confirmed=False, token=sns.new_uuid())
        sub["attributes"].update(PendingConfirmation="true", ConfirmationWasAuthenticated="false")
        sns._refresh_subscription_counts(topic)
    sub["confirmation"] = True
    told = sns._p(params, "ReturnSubscriptionArn") == "true" or sub["confirmed"]
    arn = sub["arn"] if told else "pending confirmation"
    result = f"<SubscribeResult><SubscriptionArn>{arn}</SubscriptionArn></SubscribeResult>"
    return sns._xml(200, "SubscribeResponse", result)


def unsubscribe(params, original=sns._unsubscribe):
    """MiniStack deletes subscriptions that are pending confirmation."""
    arn = sns._p(params, "SubscriptionArn")
    topic = sns._topic_by_arn_any_scope(sns._sub_arn_to_topic.get(arn, ""))
    for sub in topic["subscriptions"] if topic else []:
        if sub["arn"] == arn and not sub["confirmed"]:
            message = "Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending"
            return sns._error("InvalidParameter", f"{message} confirmation", 400)
    return original(params)


sns._create_topic = create_topic
sns._subscribe = subscribe
sns._unsubscribe = unsubscribe
