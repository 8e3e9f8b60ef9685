"""Prefix lists of EC2 in moto."""

from moto.ec2.models import EC2Backend

from mends import replaces

# AWS manages these lists, with one id per region for all accounts.
IDS = {
    "com.amazonaws.us-east-1.dynamodb": "pl-02cd2c6b",
    "com.amazonaws.us-east-1.s3": "pl-63a5400a",
    "com.amazonaws.us-east-2.dynamodb": "pl-4ca54025",
    "com.amazonaws.us-east-2.s3": "pl-7ba54012",
    "com.amazonaws.us-west-2.dynamodb": "pl-00a54069",
    "com.amazonaws.us-west-2.s3": "pl-68a54001",
}


@replaces(EC2Backend)
def create_managed_prefix_list(original, backend, **arguments):
    """In moto, AWS-managed lists have different ids in each account."""
    made = original(backend, **arguments)
    if known := IDS.get(made.prefix_list_name):
        del backend.managed_prefix_lists[made.id]
        made.id = known
        made.prefix_list_arn = made.arn(backend.region_name, made.owner_id)
        backend.managed_prefix_lists[known] = made
    return made
