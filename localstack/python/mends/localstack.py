"""LocalStack."""

from xml.etree import ElementTree

from localstack.services.kms.provider import KmsProvider
from localstack.services.s3.provider import S3Provider

from mends import replaces

S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@replaces(KmsProvider)
def get_key_policy(original, provider, context, request):
    """LocalStack requires the name of a policy, although there is only one."""
    return original(provider, context, {"PolicyName": "default", **request})


@replaces(S3Provider)
def create_bucket(original, provider, context, request):
    """LocalStack loses the tags of a new bucket, and rejects a configuration without a location."""
    tags = new_tags(context.request.data)
    if tags and not request["CreateBucketConfiguration"].get("LocationConstraint"):
        request = {key: value for key, value in request.items() if key != "CreateBucketConfiguration"}
    created = original(provider, context, request)
    if tags:
        provider.put_bucket_tagging(context, request["Bucket"], {"TagSet": tags})
    return created


def new_tags(body):
    """The tags in the body of `CreateBucket`, which are missing from LocalStack's API model of S3."""
    if not body:
        return []
    try:
        tags = ElementTree.fromstring(body).iterfind(f"{S3}Tags/{S3}Tag")
    except ElementTree.ParseError:
        return []
    return [{"Key": tag.findtext(f"{S3}Key"), "Value": tag.findtext(f"{S3}Value") or ""} for tag in tags]
