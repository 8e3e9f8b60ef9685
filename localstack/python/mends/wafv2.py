"""Web ACLs in moto."""

from moto.wafv2.exceptions import WAFv2ClientError, WAFV2DuplicateItemException
from moto.wafv2.models import FakeWebACL, WAFV2Backend

from mends import replaces


def duplicate(error, original=WAFV2DuplicateItemException.__init__):
    """AWS's error has another name."""
    original(error)
    WAFv2ClientError.__init__(error, "WAFDuplicateItemException", error.message)


WAFV2DuplicateItemException.__init__ = duplicate


@replaces(WAFV2Backend)
def associate_web_acl(original, backend, web_acl_arn, resource_arn):
    """In moto, a resource can be associated with two web ACLs."""
    if web_acl_arn in backend.wacls:
        backend.disassociate_web_acl(resource_arn)
    return original(backend, web_acl_arn=web_acl_arn, resource_arn=resource_arn)


@replaces(WAFV2Backend)
def delete_web_acl(original, backend, name, scope, _id, lock_token):
    """moto deletes it while it is associated."""
    for acl in backend.wacls.values():
        if acl.id == _id and acl.associated_resources:
            message = "AWS WAF couldn't perform the operation because your resource is being used by another resource"
            raise WAFv2ClientError("WAFAssociatedItemException", message)
    return original(backend, name=name, scope=scope, _id=_id, lock_token=lock_token)


@replaces(FakeWebACL)
def update(original, acl, **arguments):
    """moto keeps what an update omits."""
    arguments = {**arguments, "rules": arguments["rules"] or [], "description": arguments["description"] or ""}
    return original(acl, **arguments)
