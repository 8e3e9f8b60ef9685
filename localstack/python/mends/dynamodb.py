"""DynamoDB of MiniStack: global tables."""

from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import dynamodb


def key(sse):
    """The account's default key for tables."""
    return (sse or {}).get("KMSMasterKeyArn") if (sse or {}).get("Status") == "ENABLED" else None


def apply_replica_updates(name, table, updates, original=dynamodb._apply_replica_updates):
    """MiniStack gives replicas the table's key, no protection and old tags, and allows several changes in a call."""
    if len(updates) > 1 and not is_strong(table):
        # The message is not documented, but the limit is: DeveloperGuide, "Update a global table".
        message = "Only one replica can be created, updated or deleted in a call"
        return error_response_json("ValidationException", message, 400)
    for update in updates:
        action, member = next(iter(update.items()))
        if action == "Create" and key(table.get("SSEDescription")) and not member.get("KMSMasterKeyId"):
            message = (
                "One or more parameter values were invalid: KMSMasterKeyId must be specified for each replica "
                "when the table is encrypted with a customer managed key"
            )
            return error_response_json("ValidationException", message, 400)
    account = get_account_id()
    for update in updates:
        replica = dynamodb._tables.get_scoped(account, update.get("Delete", {}).get("RegionName"), name)
        if replica and replica.get("DeletionProtectionEnabled"):
            message = (
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
            return error_response_json("ValidationException", message, 400)
    refused = original(name, table, updates)
    if refused:
        return refused
    for update in updates:
        action, member = next(iter(update.items()))
        region = member["RegionName"]
        arn = f"arn:aws:dynamodb:{region}:{account}:table/{name}"
        if action == "Delete":
            dynamodb._tags.pop_scoped(account, region, arn, None)
        elif action == "Create" and member.get("KMSMasterKeyId"):
            replica = dynamodb._tables.get_scoped(account, region, name)
            specification = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": member["KMSMasterKeyId"]}
            replica["SSEDescription"] = dynamodb._sse_description_from_spec(specification)
    return None


def is_strong(table):
    return table.get("MultiRegionConsistency") == "STRONG"


def refused(message):
    return error_response_json("ValidationException", message, 400)


def change_consistency(table, data):
    """Checks the replicas and the witness of a strongly consistent table, and marks the table; or returns an error.

    The messages for lists of replicas and for items are not documented, but the rules are: CreateReplicationGroupMember-
    Action, CreateGlobalTableWitnessGroupMemberAction, Developer Guide: Multi-Region strong consistency."""
    updates, witnesses = data.get("ReplicaUpdates") or [], data.get("GlobalTableWitnessUpdates") or []
    if is_strong(table):
        kept = set(dynamodb._replica_group(table)) - {get_region()}
        deleted = {update["Delete"]["RegionName"] for update in updates if "Delete" in update}
        old = [update["Delete"]["RegionName"] for update in witnesses if "Delete" in update]
        if (updates or witnesses) and (deleted != kept or old != table["_witnesses"]):
            return refused("All replicas and the witness of a strongly consistent table are removed in one call")
        if "MultiRegionConsistency" in data:
            return refused("MultiRegionConsistency parameter is unsupported on existing global table")
        return None
    if data.get("MultiRegionConsistency") != "STRONG":
        if witnesses:
            return refused(
                "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present."
            )
        return None
    if dynamodb._replica_group(table):
        return refused("MultiRegionConsistency parameter is unsupported on existing global table")
    new = [update["Create"]["RegionName"] for update in witnesses if "Create" in update]
    regions = [update["Create"]["RegionName"] for update in updates if "Create" in update] + new
    if len(regions) != 2 or len(new) > 1:
        return refused("Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.")
    if len({get_region(), *regions}) != 3:
        return refused("Cannot target multiple regions with the same action")
    if any(table["items"].values()):
        return refused("The table must be empty for MultiRegionConsistency set to STRONG")
    table.update({"MultiRegionConsistency": "STRONG", "_witnesses": new})
    return None


def table_description(name, original=dynamodb._table_description):
    """MiniStack does not return the keys of replicas, and knows no strong consistency."""
    description = original(name)
    table = dynamodb._tables[name]
    if is_strong(table):
        description["MultiRegionConsistency"] = "STRONG"
        if table["_witnesses"]:
            witnesses = [{"RegionName": region, "WitnessStatus": "ACTIVE"} for region in table["_witnesses"]]
            description["GlobalTableWitnesses"] = witnesses
    for replica in description.get("Replicas", []):
        table = dynamodb._tables.get_scoped(get_account_id(), replica["RegionName"], name)
        arn = key(table and table.get("SSEDescription"))
        if arn:
            replica["KMSMasterKeyId"] = arn
    return description


def update_table(data, original=dynamodb._update_table):
    """MiniStack allows streams to be disabled under replicas or enabled twice, and several changes in a call, and
    creates eventually consistent tables only."""
    table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
    error = change_consistency(table, data) if table else None
    if error:
        return error
    stream = data.get("StreamSpecification")
    if table and stream is not None:
        on = bool((table.get("StreamSpecification") or {}).get("StreamEnabled"))
        if on and stream.get("StreamEnabled"):
            message = f"Table already has an enabled stream: TableName: {table['TableName']}"
            return error_response_json("ValidationException", message, 400)
        if on and dynamodb._replica_group(table):
            message = "Streams cannot be disabled while the table has replicas"
            return error_response_json("ValidationException", message, 400)
    if len(data.get("GlobalSecondaryIndexUpdates") or []) > 1 and any(
        "Create" in update or "Delete" in update for update in data["GlobalSecondaryIndexUpdates"]
    ):
        message = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        return error_response_json("LimitExceededException", message, 400)
    answer = original(data)
    if table and not dynamodb._replica_group(table):
        # The group was not created, or is dissolved.
        table.pop("MultiRegionConsistency", None)
    return answer


def update_ttl(data, original=dynamodb._update_ttl):
    """MiniStack allows time to live to be set to its current value, or moved to another attribute."""
    specification = data.get("TimeToLiveSpecification") or {}
    now = dynamodb._ttl_settings.get(dynamodb._normalize_table_name(data.get("TableName"))) or {}
    on = now.get("TimeToLiveStatus") == "ENABLED"
    if on == bool(specification.get("Enabled")):
        state = "enabled" if on else "disabled"
        return error_response_json("ValidationException", f"TimeToLive is already {state}", 400)
    if on and now.get("AttributeName") != specification.get("AttributeName"):
        message = "TimeToLive is active on a different AttributeName: current AttributeName is " + now["AttributeName"]
        return error_response_json("ValidationException", message, 400)
    return original(data)


dynamodb._apply_replica_updates = apply_replica_updates
dynamodb._table_description = table_description
dynamodb._update_table = update_table
dynamodb._update_ttl = update_ttl
