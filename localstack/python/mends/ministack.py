"""MiniStack."""

import json

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs, kms, s3, secretsmanager

KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def new_bucket_public_access_block():
    """In MiniStack, a new bucket blocks public access only if IAM is enforced."""
    return {"_public_access_block": s3._NEW_BUCKET_PUBLIC_ACCESS_BLOCK}


def put_bucket_policy(name, body, original=s3._put_bucket_policy):
    """MiniStack accepts any text as a policy."""
    try:
        is_policy = isinstance(json.loads(body), dict)
    except ValueError:
        is_policy = False
    if not is_policy:
        message = "Policies must be valid JSON and the first byte must be '{'"
        return s3._error("MalformedPolicy", message, 400, f"/{name}")
    return original(name, body)


def replicate(bucket_name, key, obj, data, tags=None, original=s3._maybe_replicate):
    """In MiniStack, a replica is encrypted with the key of its source."""
    rule, _ = s3._replication_rule_for(bucket_name, key, tags)
    destination = (rule or {}).get("Destination") or {}
    replica_key = (destination.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID")
    headers = obj.get("preserved_headers", {})
    if replica_key and KMS_KEY in headers:
        obj["preserved_headers"] = {**headers, KMS_KEY: replica_key}
    try:
        original(bucket_name, key, obj, data, tags)
    finally:
        if KMS_KEY in headers:
            obj["preserved_headers"] = headers


def unless_pending_deletion(original, name="KeyId"):
    """MiniStack allows a key that is pending deletion to be changed, and even enabled."""

    def replacement(data):
        key = kms._resolve_key(data.get(name, ""))
        if key and key["KeyState"] == "PendingDeletion":
            return error_response_json("KMSInvalidStateException", f"{key['Arn']} is pending deletion.", 400)
        return original(data)

    return replacement


def unless_disabled(original):
    """MiniStack allows the rotation of a disabled key to be changed."""

    def replacement(data):
        key = kms._resolve_key(data.get("KeyId", ""))
        if key and key["KeyState"] == "Disabled":
            return error_response_json("DisabledException", f"{key['Arn']} is disabled.", 400)
        return original(data)

    return replacement


def unless_marked_for_deletion(original):
    """MiniStack allows the policy of a secret that is pending deletion to be read and changed."""

    def replacement(data):
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        if secret and secret.get("DeletedDate"):
            message = "You can't perform this operation on the secret because it was marked for deletion."
            return error_response_json("InvalidRequestException", message, 400)
        return original(data)

    return replacement


def cancel_key_deletion(data, original=kms._cancel_key_deletion):
    """MiniStack disables a key that is not pending deletion."""
    key = kms._resolve_key(data.get("KeyId", ""))
    if key and key["KeyState"] not in ("PendingDeletion", "PendingReplicaDeletion"):
        return error_response_json("KMSInvalidStateException", f"{key['Arn']} is not pending deletion.", 400)
    return original(data)


def get_key_rotation_status(data, original=kms._get_key_rotation_status):
    """A key that is pending deletion is not rotated until the deletion is cancelled."""
    key = kms._resolve_key(data.get("KeyId", ""))
    if key and key["KeyState"] == "PendingDeletion":
        return json_response({"KeyRotationEnabled": False})
    return original(data)


def create_secret(data, original=secretsmanager._create_secret):
    """The name of a secret that is pending deletion has its own error, and replicas are created with the secret."""
    secret = secretsmanager._secrets.get(data.get("Name"))
    if secret and secret.get("DeletedDate"):
        message = (
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
        return error_response_json("InvalidRequestException", message, 400)
    created = original(data)
    if data.get("AddReplicaRegions") and created[0] == 200:
        replicated = secretsmanager._replicate_secret_to_regions({**data, "SecretId": data["Name"]})
        if replicated[0] != 200:
            del secretsmanager._secrets[data["Name"]]
            return replicated
        return json_response({**json.loads(created[2]), **json.loads(replicated[2])})
    return created


def with_actions(original, actions):
    """Adds missing actions to a service."""

    async def handle_request(method, path, headers, body, query_params):
        action = actions.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if action:
            return action(json.loads(body or "{}"))
        return await original(method, path, headers, body, query_params)

    return handle_request


def set_kms_key(key):
    """MiniStack sets a log group's key only on creation."""

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
s3._maybe_replicate = replicate
cloudwatch_logs.handle_request = with_actions(cloudwatch_logs.handle_request, LOGS)
for action in (
    "_disable_key",
    "_disable_key_rotation",
    "_enable_key",
    "_enable_key_rotation",
    "_schedule_key_deletion",
    "_tag_resource",
    "_untag_resource",
    "_update_key_description",
):
    setattr(kms, action, unless_pending_deletion(getattr(kms, action)))
for action in ("_disable_key_rotation", "_enable_key_rotation"):
    setattr(kms, action, unless_disabled(getattr(kms, action)))
for action in ("_create_alias", "_update_alias"):
    setattr(kms, action, unless_pending_deletion(getattr(kms, action), "TargetKeyId"))
kms._cancel_key_deletion = cancel_key_deletion
kms._get_key_rotation_status = get_key_rotation_status
secretsmanager._create_secret = create_secret
for action in ("_delete_resource_policy", "_get_resource_policy", "_put_resource_policy"):
    setattr(secretsmanager, action, unless_marked_for_deletion(getattr(secretsmanager, action)))
