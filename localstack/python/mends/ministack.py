"""MiniStack."""

import json

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs, kms, s3


def new_bucket_public_access_block():
    """A new bucket blocks public access only if IAM is enforced."""
    return {"_public_access_block": s3._NEW_BUCKET_PUBLIC_ACCESS_BLOCK}


def put_bucket_policy(name, body, original=s3._put_bucket_policy):
    """A policy can be anything."""
    try:
        is_policy = isinstance(json.loads(body), dict)
    except ValueError:
        is_policy = False
    if not is_policy:
        message = "Policies must be valid JSON and the first byte must be '{'"
        return s3._error("MalformedPolicy", message, 400, f"/{name}")
    return original(name, body)


def unless_pending_deletion(original):
    """A key that waits for its deletion can be tagged."""

    def replacement(data):
        key = kms._resolve_key(data.get("KeyId", ""))
        if key and key["KeyState"] == "PendingDeletion":
            return error_response_json("KMSInvalidStateException", f"{key['Arn']} is pending deletion.", 400)
        return original(data)

    return replacement


def with_actions(original, actions):
    """Adds actions to a service that has not got them."""

    async def handle_request(method, path, headers, body, query_params):
        action = actions.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if action:
            return action(json.loads(body or "{}"))
        return await original(method, path, headers, body, query_params)

    return handle_request


def set_kms_key(key):
    """A log group's key is settled when it is created."""

    def action(data):
        name = data.get("logGroupName") or data.get("resourceIdentifier", "").split(":log-group:")[-1].removesuffix(":*")
        if name not in cloudwatch_logs._log_groups:
            message = f"The specified log group does not exist: {name}"
            return error_response_json("ResourceNotFoundException", message, 400)
        cloudwatch_logs._log_groups[name]["kmsKeyId"] = key(data)
        return json_response({})

    return action


LOGS = {
    "AssociateKmsKey": set_kms_key(lambda data: data.get("kmsKeyId")),
    "DisassociateKmsKey": set_kms_key(lambda _data: None),
}


s3._new_bucket_public_access_block = new_bucket_public_access_block
s3._put_bucket_policy = put_bucket_policy
cloudwatch_logs.handle_request = with_actions(cloudwatch_logs.handle_request, LOGS)
kms._tag_resource = unless_pending_deletion(kms._tag_resource)
kms._untag_resource = unless_pending_deletion(kms._untag_resource)
