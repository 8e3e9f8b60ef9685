"""Transit gateways in moto: tags, both sides of a peering, routes, and the effects of a deletion."""

import copy

from moto.ec2.exceptions import EC2ClientError, InvalidRouteError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.transit_gateway_attachments import TransitGatewayAttachment as AttachmentResponse
from moto.ec2.utils import describe_tag_filter

from mends import replaces
from mends.ec2_network import require

NOT_FOUND = "InvalidTransitGatewayAttachmentID.NotFound"


def living(backend, identifier):
    """A gateway that exists and is not deleted."""
    gateway = backend.transit_gateways.get(identifier)
    if gateway is None or gateway.state == "deleted":
        message = f"Transit Gateway {identifier} was deleted or does not exist."
        raise EC2ClientError("InvalidTransitGatewayID.NotFound", message)
    return gateway


def attachment(backend, identifier):
    """An attachment that exists and is not deleted."""
    found = backend.transit_gateway_attachments.get(identifier)
    if found is None or found.state == "deleted":
        raise EC2ClientError(NOT_FOUND, f"The transitGatewayAttachment ID '{identifier}' does not exist")
    return found


def route_table(backend, identifier):
    """A route table that exists."""
    if identifier not in backend.transit_gateways_route_tables:
        message = f"Transit Gateway Route Table {identifier} was deleted or does not exist."
        raise EC2ClientError("InvalidRouteTableID.NotFound", message)
    return backend.transit_gateways_route_tables[identifier]


# Gateways


@replaces(EC2Backend)
def create_transit_gateway(original, backend, **arguments):
    """moto creates a default route table even if both defaults are disabled."""
    gateway = original(backend, **arguments)
    wanted = [gateway.options[f"DefaultRouteTable{use}"] for use in ("Association", "Propagation")]
    if wanted == ["disable", "disable"]:
        del backend.transit_gateways_route_tables[gateway.default_route_table.id]
        gateway.default_route_table = None
    for use, is_wanted in zip(("Association", "Propagation"), wanted):
        if is_wanted == "disable":
            gateway.options.pop(f"{use}DefaultRouteTableId", None)
    return gateway


@replaces(EC2Backend)
def describe_transit_gateways(original, backend, filters, transit_gateway_ids):
    """moto has no error for missing gateways."""
    known = backend.transit_gateways.values()
    require(known, transit_gateway_ids, "InvalidTransitGatewayID.NotFound", "transitGateway")
    return original(backend, filters=filters, transit_gateway_ids=transit_gateway_ids)


@replaces(EC2Backend)
def delete_transit_gateway(_original, backend, transit_gateway_id):
    """moto deletes it with attachments, and does not show it as deleted for an hour as AWS does."""
    gateway = living(backend, transit_gateway_id)
    for found in backend.transit_gateway_attachments.values():
        if found.transit_gateway_id == transit_gateway_id and found.state not in ("deleted", "rejected"):
            raise EC2ClientError("IncorrectState", f"{transit_gateway_id} has non-deleted Transit Gateway Attachments")
    for table in list(backend.transit_gateways_route_tables.values()):
        if table.transit_gateway_id == transit_gateway_id:
            del backend.transit_gateways_route_tables[table.id]
    gateway.state = "deleted"
    return gateway


# Attachments


@replaces(EC2Backend)
def create_transit_gateway_vpc_attachment(original, backend, **arguments):
    """moto associates it with a missing default route table, and lets a deleted attachment block a new one."""
    gateway = living(backend, arguments["transit_gateway_id"])
    deleted = {key: old for key, old in backend.transit_gateway_attachments.items() if old.state == "deleted"}
    for key in deleted:
        del backend.transit_gateway_attachments[key]
    default, placeholder = gateway.default_route_table, None
    if default is None:
        placeholder = gateway.default_route_table = backend.create_transit_gateway_route_table(gateway.id)
    try:
        created = original(backend, **arguments)
    finally:
        gateway.default_route_table = default
        if placeholder:
            del backend.transit_gateways_route_tables[placeholder.id]
        backend.transit_gateway_attachments.update(deleted)
    if gateway.options["DefaultRouteTableAssociation"] == "disable":
        created.transit_gateway_route_table = None
        if default:
            default.route_table_associations.pop(created.id, None)
    return created


@replaces(AttachmentResponse)
def _parse_tag_specification(original, response, **arguments):
    """moto looks for tags of attachments under another resource type."""
    tags = original(response, **arguments)
    if "transit-gateway-attachment" in tags:
        tags = {**tags, "transit-gateway-route-table": tags["transit-gateway-attachment"]}
    return tags


def describe(original, backend, arguments, accepts):
    ids, filters = arguments["transit_gateways_attachment_ids"], arguments["filters"] or {}
    found = [one for one in original(backend, **arguments) if accepts(one)]
    require(found if not filters else backend.transit_gateway_attachments.values(), ids, NOT_FOUND, "transitGatewayAttachment")
    if states := filters.get("state"):
        found = [one for one in found if one.state in states]
    if keys := filters.get("transit-gateway-attachment-id"):
        found = [one for one in found if one.id in keys]
    return describe_tag_filter(filters, found)


@replaces(EC2Backend)
def describe_transit_gateway_attachments(original, backend, **arguments):
    """moto has no filters by tag, state or id."""
    return describe(original, backend, arguments, lambda _any: True)


@replaces(EC2Backend)
def describe_transit_gateway_vpc_attachments(original, backend, **arguments):
    """moto has no tag filters, and also lists peerings."""
    return describe(original, backend, arguments, lambda one: one.resource_type == "vpc")


@replaces(EC2Backend)
def describe_transit_gateway_peering_attachments(original, backend, **arguments):
    """moto also lists attachments of VPCs."""
    return describe(original, backend, arguments, lambda one: one.resource_type == "peering")


def detach(backend, gone):
    """Removes an attachment from the route tables; routes to it become black holes."""
    gone.state = "deleted"
    backend.transit_gateway_associations.pop(gone.id, None)
    backend.transit_gateway_propagations.pop(gone.id, None)
    for table in backend.transit_gateways_route_tables.values():
        table.route_table_associations.pop(gone.id, None)
        table.route_table_propagation = [
            propagation
            for propagation in table.route_table_propagation
            if propagation.transitGatewayAttachmentId != gone.id
        ]
        for route in table.routes.values():
            to = route.get("transitGatewayAttachments") or []
            if any(one["transitGatewayAttachmentId"] == gone.id for one in ([to] if isinstance(to, dict) else to)):
                route["state"] = "blackhole"


@replaces(EC2Backend)
def delete_transit_gateway_vpc_attachment(_original, backend, transit_gateway_attachment_id):
    """moto does not show it as deleted for an hour as AWS does."""
    gone = attachment(backend, transit_gateway_attachment_id)
    detach(backend, gone)
    return gone


# Peerings: both regions have the same id, but each side has its own tags and shows its own gateway as the requester or
# accepter.


@replaces(EC2Backend)
def create_transit_gateway_peering_attachment(original, backend, **arguments):
    """In moto, both regions share one object, including its tags."""
    gateway = living(backend, arguments["transit_gateway_id"])
    near = original(backend, **arguments)
    near.transit_gateway_route_table = None
    for reference in backend.backend_refs[EC2Backend]:
        far_backend = reference()
        if far_backend is None or far_backend is backend:
            continue
        if far_backend.transit_gateway_attachments.get(near.id) is near:
            far = copy.copy(near)
            far.ec2_backend = far_backend
            far.transit_gateway_id, far.resource_id = arguments["peer_transit_gateway_id"], gateway.id
            far._association_data, far.propagation = {}, {}
            far_backend.transit_gateway_attachments[near.id] = far
            near.twin, far.twin = far, near
    return near


def both_sides(changed):
    """Copies the state of this side of a peering to the other side."""
    if twin := getattr(changed, "twin", None):
        twin.state = changed.state
    return changed


@replaces(EC2Backend)
def accept_transit_gateway_peering_attachment(original, backend, transit_gateway_attachment_id):
    """moto does not validate the request."""
    pending = attachment(backend, transit_gateway_attachment_id)
    if pending.state != "pendingAcceptance":
        message = f"{transit_gateway_attachment_id} is in the state {pending.state}"
        raise EC2ClientError("IncorrectState", message)
    return both_sides(original(backend, transit_gateway_attachment_id=transit_gateway_attachment_id))


@replaces(EC2Backend)
def reject_transit_gateway_peering_attachment(original, backend, transit_gateway_attachment_id):
    attachment(backend, transit_gateway_attachment_id)
    return both_sides(original(backend, transit_gateway_attachment_id=transit_gateway_attachment_id))


@replaces(EC2Backend)
def delete_transit_gateway_peering_attachment(original, backend, transit_gateway_attachment_id):
    """moto keeps associations and routes."""
    gone = attachment(backend, transit_gateway_attachment_id)
    original(backend, transit_gateway_attachment_id=transit_gateway_attachment_id)
    detach(backend, gone)
    if twin := getattr(gone, "twin", None):
        detach(twin.ec2_backend, twin)
    return gone


# Route tables and routes


@replaces(EC2Backend)
def get_all_transit_gateway_route_tables(original, backend, **arguments):
    """moto has no tag filters, and no error for missing tables."""
    ids = arguments["transit_gateway_route_table_ids"]
    known = backend.transit_gateways_route_tables.values()
    require(known, ids, "InvalidRouteTableID.NotFound", "routeTable")
    return describe_tag_filter(arguments["filters"] or {}, original(backend, **arguments))


@replaces(EC2Backend)
def delete_transit_gateway_route_table(original, backend, transit_gateway_route_table_id):
    """moto deletes it while it is in use."""
    if route_table(backend, transit_gateway_route_table_id).route_table_associations:
        raise EC2ClientError("IncorrectState", f"{transit_gateway_route_table_id} has associations")
    return original(backend, transit_gateway_route_table_id=transit_gateway_route_table_id)


@replaces(EC2Backend)
def associate_transit_gateway_route_table(original, backend, **arguments):
    """In moto, a second association replaces the first."""
    route_table(backend, arguments["transit_gateway_route_table_id"])
    identifier = attachment(backend, arguments["transit_gateway_attachment_id"]).id
    tables = backend.transit_gateways_route_tables.values()
    if any(identifier in table.route_table_associations for table in tables):
        raise EC2ClientError("Resource.AlreadyAssociated", f"{identifier} is already associated")
    return original(backend, **arguments)


@replaces(EC2Backend)
def disassociate_transit_gateway_route_table(original, backend, tgw_attach_id, tgw_rt_id):
    """In moto, a missing association is an internal error."""
    table = route_table(backend, tgw_rt_id)
    if tgw_attach_id not in table.route_table_associations or tgw_attach_id not in backend.transit_gateway_associations:
        table.route_table_associations.pop(tgw_attach_id, None)
        message = f"{tgw_attach_id} is not associated with {tgw_rt_id}"
        raise EC2ClientError("InvalidAssociation.NotFound", message)
    return original(backend, tgw_attach_id=tgw_attach_id, tgw_rt_id=tgw_rt_id)


@replaces(EC2Backend)
def enable_transit_gateway_route_table_propagation(original, backend, **arguments):
    """moto adds a second propagation."""
    table = route_table(backend, arguments["transit_gateway_route_table_id"])
    identifier = attachment(backend, arguments["transit_gateway_attachment_id"]).id
    if any(found.transitGatewayAttachmentId == identifier for found in table.route_table_propagation):
        message = f"Propagation for {identifier} is already enabled"
        raise EC2ClientError("TransitGatewayRouteTablePropagation.Duplicate", message)
    return original(backend, **arguments)


@replaces(EC2Backend)
def create_transit_gateway_route(original, backend, **arguments):
    """moto does not validate the request."""
    table = route_table(backend, arguments["transit_gateway_route_table_id"])
    cidr, identifier = arguments["destination_cidr_block"], arguments["transit_gateway_attachment_id"]
    if identifier and attachment(backend, identifier).state != "available":
        raise EC2ClientError("IncorrectState", f"{identifier} is in invalid state")
    if cidr in table.routes:
        raise EC2ClientError("RouteAlreadyExists", f"The route {cidr} already exists")
    return original(backend, **arguments)


@replaces(EC2Backend)
def delete_transit_gateway_route(original, backend, transit_gateway_route_table_id, destination_cidr_block):
    """In moto, a missing resource is an internal error."""
    if destination_cidr_block not in route_table(backend, transit_gateway_route_table_id).routes:
        raise InvalidRouteError(transit_gateway_route_table_id, destination_cidr_block)
    return original(
        backend,
        transit_gateway_route_table_id=transit_gateway_route_table_id,
        destination_cidr_block=destination_cidr_block,
    )


@replaces(EC2Backend)
def search_transit_gateway_routes(original, backend, transit_gateway_route_table_id, filters, max_results):
    """moto does not return routes that attachments propagate."""
    table = route_table(backend, transit_gateway_route_table_id)
    static = table.routes
    table.routes = dict(static)
    for propagation in table.route_table_propagation:
        source = backend.transit_gateway_attachments.get(propagation.transitGatewayAttachmentId)
        vpc = source and backend.vpcs.get(source.resource_id)
        if vpc:
            to = {
                "resourceId": source.resource_id,
                "resourceType": source.resource_type,
                "transitGatewayAttachmentId": source.id,
            }
            route = {"destinationCidrBlock": vpc.cidr_block, "state": "active", "type": "propagated"}
            table.routes.setdefault(vpc.cidr_block, {**route, "transitGatewayAttachments": to})
    try:
        return original(
            backend,
            transit_gateway_route_table_id=transit_gateway_route_table_id,
            filters=filters,
            max_results=max_results,
        )
    finally:
        table.routes = static
