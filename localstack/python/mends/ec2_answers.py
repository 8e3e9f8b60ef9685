"""EC2's responses in moto: missing members."""

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses.vpcs import VPCs

from mends import replaces
from mends.conditions import CONDITIONS


def as_list(route):
    """The attachments of a transit gateway route must be a list to be returned."""
    if isinstance(to := route.get("transitGatewayAttachments"), dict):
        return {**route, "transitGatewayAttachments": [to]}
    return route


@replaces(EC2Backend)
def create_transit_gateway_route(original, backend, **arguments):
    return as_list(original(backend, **arguments))


@replaces(EC2Backend)
def search_transit_gateway_routes(original, backend, **arguments):
    return [as_list(route) for route in original(backend, **arguments)]


@replaces(EC2Backend)
def describe_availability_zones(original, backend, **arguments):
    """In moto, all zones are always available."""
    for zone in backend.zones.get(backend.region_name, []):
        zone.state = CONDITIONS.zones.get(zone.name, "available")
    return original(backend, **arguments)


@replaces(VPCs)
def delete_vpc_endpoints(_original, response):
    """moto does not report missing endpoints."""
    ids = response._get_param("VpcEndpointIds", [])
    missing = [identifier for identifier in ids if identifier not in response.ec2_backend.vpc_end_points]
    response.ec2_backend.delete_vpc_endpoints(vpce_ids=ids)
    failed = [
        {
            "ResourceId": identifier,
            "Error": {
                "Code": "InvalidVpcEndpoint.NotFound",
                "Message": f"The VpcEndpoint Id '{identifier}' does not exist",
            },
        }
        for identifier in missing
    ]
    return ActionResult({"Unsuccessful": failed})
