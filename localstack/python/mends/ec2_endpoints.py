"""VPC endpoints in moto: filters and updates; replacement of transit gateway routes."""

import json
import sys

from moto.core.responses import ActionResult
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses.transit_gateway_route_tables import TransitGatewayRouteTable as RouteTableResponse
from moto.ec2.responses.vpcs import VPCs

from mends import replaces
from mends.ec2_transit import attachment, route_table
from moto.ec2.exceptions import EC2ClientError, InvalidRouteError


@replaces(VPCEndPoint)
def get_filter_value(original, endpoint, filter_name, method_name):
    """No filter by id (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html)."""
    if filter_name == "vpc-endpoint-id":
        return endpoint.id
    return original(endpoint, filter_name, method_name)


@replaces(VPCs)
def modify_vpc_endpoint(original, response):
    """moto ignores ResetPolicy and PrivateDnsEnabled, and does not update the routes of the tables."""
    backend = response.ec2_backend
    endpoint = backend.describe_vpc_endpoints([response._get_param("VpcEndpointId")])[0]
    before = set(endpoint.route_table_ids)
    answer = original(response)
    if response._get_bool_param("ResetPolicy"):
        endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
    private_dns = response._get_bool_param("PrivateDnsEnabled")
    if private_dns is not None:
        endpoint.private_dns_enabled = private_dns
    prefix_list = endpoint.destination_prefix_list_id
    if prefix_list:
        for table in set(endpoint.route_table_ids) - before:
            backend.create_route(table, None, gateway_id=endpoint.id, destination_prefix_list_id=prefix_list)
        for table in before - set(endpoint.route_table_ids):
            routes = backend.route_tables[table]._routes
            for key in [key for key, route in routes.items() if route.gateway_id == endpoint.id]:
                del routes[key]
    return answer


def replace_transit_gateway_route(response):
    """moto does not have this action."""
    cidr = response._get_param("DestinationCidrBlock")
    identifier = response._get_param("TransitGatewayAttachmentId")
    table = route_table(response.ec2_backend, response._get_param("TransitGatewayRouteTableId"))
    if cidr not in table.routes:
        raise InvalidRouteError(table.id, cidr)
    if identifier and attachment(response.ec2_backend, identifier).state != "available":
        raise EC2ClientError("IncorrectState", f"{identifier} is in invalid state")
    del table.routes[cidr]
    route = response.ec2_backend.create_transit_gateway_route(
        transit_gateway_route_table_id=table.id,
        destination_cidr_block=cidr,
        transit_gateway_attachment_id=identifier,
        blackhole=bool(response._get_bool_param("Blackhole")),
    )
    return ActionResult({"route": route})


RouteTableResponse.replace_transit_gateway_route = replace_transit_gateway_route


def describe_tag_filter(filters, instances):
    """moto removes a resource that two filters exclude twice, which is an internal error."""
    wanted = {key.removeprefix("tag:"): values for key, values in filters.items() if key.startswith("tag:")}
    tags = ({tag["key"]: tag["value"] for tag in instance.get_tags()} for instance in instances)
    return [
        instance
        for instance, has in zip(instances, tags)
        if all(has.get(key) in values for key, values in wanted.items())
    ]


for module in [module for name, module in sys.modules.items() if name.startswith(("moto.ec2", "mends"))]:
    if hasattr(module, "describe_tag_filter"):
        module.describe_tag_filter = describe_tag_filter
