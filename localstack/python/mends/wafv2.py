"""Web ACLs in moto."""

from moto.wafv2.exceptions import WAFv2ClientError, WAFV2DuplicateItemException
from moto.wafv2.models import FakeWebACL, WAFV2Backend

from mends import replaces


def duplicate(error, original=WAFV2DuplicateItemException.__init__):
    """The error has another name."""
    original(error)
    WAFv2ClientError.__init__(error, "WAFDuplicateItemException", error.message)


WAFV2DuplicateItemException.__init__ = duplicate


@replaces(WAFV2Backend)
def associate_web_acl(original, backend, web_acl_arn, resource_arn):
    """What is guarded by one web ACL and then by another is guarded by both."""
    if web_acl_arn in backend.wacls:
        backend.disassociate_web_acl(resource_arn)
    return original(backend, web_acl_arn=web_acl_arn, resource_arn=resource_arn)


@replaces(WAFV2Backend)
def delete_web_acl(original, backend, name, scope, _id, lock_token):
    """It goes although it guards something."""
    for acl in backend.wacls.values():
        if acl.id == _id and acl.associated_resources:
            message = "AWS WAF couldn't perform the operation because your resource is being used by another resource"
            raise WAFv2ClientError("WAFAssociatedItemException", message)
    return original(backend, name=name, scope=scope, _id=_id, lock_token=lock_token)


@replaces(FakeWebACL)
def update(original, acl, **arguments):
    """What an update leaves out stays."""
    arguments = {**arguments, "rules": arguments["rules"] or [], "description": arguments["description"] or ""}
    return original(acl, **arguments)
