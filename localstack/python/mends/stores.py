"""The stores of MiniStack that replicate between regions, for the gateway: DynamoDB tables and S3 buckets."""

import json

from ministack.services import dynamodb, s3

PATH = "/_payinfra/stores"


def tables():
    for (_, region, _), table in dynamodb._tables.all_items():
        yield {"name": table["TableName"], "region": region, "replicas": dynamodb._replica_group(table)}


def buckets():
    for (account, name), bucket in s3._buckets.to_dict().items():
        yield {"name": name, "region": bucket.get("region") or "us-east-1", "replicas": destinations(account, name)}


def destinations(account, name):
    """The buckets to which all objects of a bucket are replicated."""
    configuration = s3._bucket_replication.get_scoped(account, None, name) or {}
    if s3._bucket_versioning.get_scoped(account, None, name) != "Enabled":
        return []
    names = [
        rule["Destination"]["Bucket"].split(":::")[-1]
        for rule in configuration.get("Rules", [])
        if rule.get("Status") == "Enabled" and not is_filtered(rule)
    ]
    return [name for name in names if s3._bucket_versioning.get_scoped(account, None, name) == "Enabled"]


def is_filtered(rule):
    """Whether a rule is only for some objects."""
    return bool(s3._replication_rule_prefix(rule) or s3._replication_rule_tags(rule))


def served(app):
    """The application with a path for the gateway that returns all of this."""

    async def serving(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await app(scope, receive, send)
            return
        body = json.dumps({"tables": list(tables()), "buckets": list(buckets())}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serving
