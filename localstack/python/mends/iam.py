"""IAM in moto."""

import json

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import IAMBackend

from mends import replaces


@replaces(IAMBackend)
def create_role(original, backend, **arguments):
    """moto validates a trust policy on update, but not on creation."""
    try:
        policy = json.loads(arguments["assume_role_policy_document"])
    except ValueError:
        policy = None
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise MalformedPolicyDocument("This policy contains invalid Json")
    return original(backend, **arguments)
