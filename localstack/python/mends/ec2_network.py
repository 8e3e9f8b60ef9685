"""EC2 networking in moto: dependencies and filters."""

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route
from moto.ec2.utils import describe_tag_filter

from mends import interfaces as interfaces_of_services
from mends import replaces


def require(found, ids, code, noun):
    """Fails like AWS if one of the requested ids does not exist."""
    known = {resource.id for resource in found}
    for missing in [wanted for wanted in ids or [] if wanted not in known]:
        raise EC2ClientError(code, f"The {noun} ID '{missing}' does not exist")


def depends(noun, identifier, *users):
    """Rejects the deletion of a resource that is in use."""
    if any(users):
        raise DependencyViolationError(f"The {noun} '{identifier}' has dependencies and cannot be deleted.")


def interfaces(backend, **where):
    """The network interfaces in a subnet or of a group."""
    for interface in backend.enis.values():
        if interface.subnet.id == where.get("subnet"):
            yield interface
        elif where.get("group") in {group.id for group in interface.group_set}:
            yield interface


def attachments(backend, **where):
    """The active attachments of transit gateways to a VPC or subnet."""
    for attachment in backend.transit_gateway_attachments.values():
        if attachment.state == "deleted" or attachment.resource_type != "vpc":
            continue
        if attachment.resource_id == where.get("vpc") or where.get("subnet") in attachment.subnet_ids:
            yield attachment


# NAT gateways


@replaces(EC2Backend)
def describe_nat_gateways(original, backend, filters, nat_gateway_ids):
    """moto has no tag filters, and no error for missing gateways."""
    if nat_gateway_ids:
        require(backend.nat_gateways.values(), nat_gateway_ids, "NatGatewayNotFound", "NAT gateway")
    found = original(backend, filters=filters, nat_gateway_ids=nat_gateway_ids)
    return describe_tag_filter(filters or {}, found)


@replaces(EC2Backend)
def create_nat_gateway(original, backend, **arguments):
    """moto does not set the default connectivity type."""
    return original(backend, **{**arguments, "connectivity_type": arguments["connectivity_type"] or "public"})


@replaces(EC2Backend)
def delete_nat_gateway(original, backend, nat_gateway_id):
    """moto leaves the interface and the address in use."""
    gateway = backend.nat_gateways.get(nat_gateway_id)
    if gateway is None or gateway.state == "deleted":
        raise EC2ClientError("NatGatewayNotFound", f"The NAT gateway {nat_gateway_id} was not found")
    for address in gateway.address_set:
        if allocation := address.get("allocationId"):
            backend.disassociate_address(address=backend.address_by_allocation([allocation])[0].public_ip)
    backend.enis.pop(gateway._eni.id, None)
    return original(backend, nat_gateway_id=nat_gateway_id)


@replaces(EC2Backend)
def release_address(original, backend, address, allocation_id):
    """moto releases an address that a NAT gateway uses."""
    addresses = backend.address_by_allocation([allocation_id]) if allocation_id else backend.address_by_ip([address])
    if addresses[0].association_id:
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {addresses[0].public_ip} is in use.")
    return original(backend, address=address, allocation_id=allocation_id)


# Internet gateways, subnets and VPCs


@replaces(EC2Backend)
def attach_internet_gateway(original, backend, internet_gateway_id, vpc_id):
    """moto allows several per VPC."""
    gateway = backend.get_internet_gateway(internet_gateway_id)
    others = (other for other in backend.internet_gateways.values() if other.vpc and other.vpc.id == vpc_id)
    if not gateway.vpc and any(others):
        message = f"Network {vpc_id} already has an internet gateway attached"
        raise EC2ClientError("InvalidParameterValue", message)
    return original(backend, internet_gateway_id=internet_gateway_id, vpc_id=vpc_id)


@replaces(EC2Backend)
def detach_internet_gateway(original, backend, internet_gateway_id, vpc_id):
    """moto detaches it although addresses are still mapped through it."""
    users = (nat for nat in backend.nat_gateways.values() if nat.vpc_id == vpc_id and nat.state != "deleted")
    if any(nat.connectivity_type != "private" for nat in users):
        message = f"Network {vpc_id} has some mapped public address(es). Please unmap those before detaching."
        raise DependencyViolationError(message)
    return original(backend, internet_gateway_id=internet_gateway_id, vpc_id=vpc_id)


@replaces(EC2Backend)
def delete_subnet(original, backend, subnet_id):
    """moto deletes it with interfaces in it, and keeps its association with a route table."""
    backend.get_subnet(subnet_id)
    depends("subnet", subnet_id, *interfaces(backend, subnet=subnet_id), *attachments(backend, subnet=subnet_id))
    for table in backend.route_tables.values():
        for association, subnet in list(table._associations.items()):
            if subnet == subnet_id:
                del table._associations[association]
    return original(backend, subnet_id=subnet_id)


@replaces(EC2Backend)
def delete_vpc(original, backend, vpc_id):
    """moto deletes it with gateways, endpoints, groups and attachments in it, and keeps its network ACL."""
    gateways = [gateway for gateway in backend.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id]
    endpoints = [
        endpoint
        for endpoint in backend.vpc_end_points.values()
        if endpoint.vpc_id == vpc_id and endpoint.state != "deleted"
    ]
    groups = [group for group in backend.groups[vpc_id].values() if group.name != "default"]
    depends("vpc", vpc_id, *gateways, *endpoints, *groups, *attachments(backend, vpc=vpc_id))
    deleted = original(backend, vpc_id=vpc_id)
    for acl in [acl for acl in backend.network_acls.values() if acl.vpc_id == vpc_id]:
        del backend.network_acls[acl.id]
    return deleted


# Routes


@replaces(EC2Backend)
def associate_route_table(original, backend, route_table_id, gateway_id, subnet_id):
    """moto returns the first association for an association with a second table."""
    for table in backend.route_tables.values():
        if subnet_id and subnet_id in table._associations.values() and table.id != route_table_id:
            raise EC2ClientError("Resource.AlreadyAssociated", f"{subnet_id} is associated with {table.id}")
    return original(backend, route_table_id=route_table_id, gateway_id=gateway_id, subnet_id=subnet_id)


@replaces(EC2Backend)
def create_route(original, backend, **arguments):
    """moto accepts missing targets, or rejects them with another code."""
    gateway, nat = arguments["gateway_id"], arguments["nat_gateway_id"]
    if gateway and gateway.startswith("igw-") and gateway not in backend.internet_gateways:
        raise EC2ClientError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway}' does not exist")
    if nat and nat not in backend.nat_gateways:
        raise EC2ClientError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")
    if transit := arguments["transit_gateway_id"]:
        vpc = backend.get_route_table(arguments["route_table_id"]).vpc_id
        attached = (found.transit_gateway_id for found in attachments(backend, vpc=vpc))
        if transit not in attached:
            raise EC2ClientError("InvalidTransitGatewayID.NotFound", f"{transit} is not attached to {vpc}")
    return original(backend, **arguments)


def route_state(route):
    """A route whose target is gone is a black hole."""
    nat, transit = route.nat_gateway, route.transit_gateway
    gone = nat and nat.state == "deleted" or transit and transit.state == "deleted"
    return "blackhole" if gone else "active"


Route.state = property(route_state)


# Endpoints and flow logs


@replaces(EC2Backend)
def delete_vpc_endpoints(original, backend, vpce_ids):
    """moto looks for a gateway endpoint's own routes by the wrong name."""
    for endpoint in filter(None, map(backend.vpc_end_points.get, vpce_ids or [])):
        for table in backend.route_tables.values():
            prefix_list = endpoint.destination_prefix_list_id
            for key, route in list(table._routes.items()):
                listed = route.destination_prefix_list and route.destination_prefix_list.id == prefix_list
                if listed and route.vpc_endpoint_id in (None, endpoint.id) and route.gateway_id == endpoint.id:
                    del table._routes[key]
        for interface in endpoint.network_interface_ids or []:
            interfaces_of_services.linger(backend, interface)
        del backend.vpc_end_points[endpoint.id]


@replaces(EC2Backend)
def create_flow_logs(original, backend, **arguments):
    """moto does not return the name of a log group that was given by its ARN."""
    logs, errors = original(backend, **arguments)
    for log in logs:
        if log.log_destination and log.log_destination_type == "cloud-watch-logs" and not log.log_group_name:
            log.log_group_name = log.log_destination.split(":log-group:")[1].removesuffix(":*")
    return logs, errors
