"""VPC peerings in moto: filters, tags of each region, and what AWS refuses."""

import copy
import ipaddress

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.vpc_peering_connections import VPCPeeringConnections

from mends import replaces
from mends.ec2_network import require

NOT_FOUND = "InvalidVpcPeeringConnectionID.NotFound"
ENDED = ("deleted", "failed", "rejected", "expired")


def side(backend, peering):
    """A peering as its region sees it: each region has tags of its own."""
    own = copy.copy(peering)
    own.ec2_backend = backend
    return own


def value(peering, name):
    """What a filter compares."""
    fields = {
        "accepter-vpc-info.vpc-id": peering.peer_vpc.id,
        "requester-vpc-info.vpc-id": peering.vpc.id,
        "status-code": peering.status["Code"],
        "vpc-peering-connection-id": peering.id,
    }
    if name.startswith("tag:"):
        return next((tag["value"] for tag in peering.get_tags() if tag["key"] == name[4:]), None)
    if name not in fields:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return fields[name]


@replaces(VPCPeeringConnections)
def describe_vpc_peering_connections(_original, response):
    """moto ignores filters and unknown ids, and has one set of tags for both regions."""
    backend = response.ec2_backend
    ids = response._get_param("VpcPeeringConnectionIds", [])
    require(backend.vpc_pcxs.values(), ids, NOT_FOUND, "vpcPeeringConnection")
    found = [side(backend, one) for one in backend.describe_vpc_peering_connections(ids)]
    for name, wanted in response._filters_from_querystring().items():
        found = [one for one in found if value(one, name) in wanted]
    return ActionResult({"VpcPeeringConnections": found})


@replaces(EC2Backend)
def create_vpc_peering_connection(original, backend, vpc, peer_vpc, tags):
    """moto accepts a second peering of the same networks, and one of networks that overlap."""
    for one in backend.vpc_pcxs.values():
        if (one.vpc.id, one.peer_vpc.id) == (vpc.id, peer_vpc.id) and one.status["Code"] not in ENDED:
            message = f"A VPC peering connection between {vpc.id} and {peer_vpc.id} already exists: {one.id}"
            raise EC2ClientError("VpcPeeringConnectionAlreadyExists", message)
    peering = original(backend, vpc, peer_vpc, tags)
    if ipaddress.ip_network(vpc.cidr_block).overlaps(ipaddress.ip_network(peer_vpc.cidr_block)):
        peering._status.code = "failed"
        peering._status.message = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
    return peering


@replaces(EC2Backend)
def delete_vpc_peering_connection(original, backend, vpc_pcx_id):
    """moto deletes what is already deleted."""
    found = backend.get_vpc_peering_connection(vpc_pcx_id)
    if found.status["Code"] in ENDED:
        message = f"Invalid state transition for {vpc_pcx_id}, attempted to transition from {found.status['Code']} to deleting"
        raise EC2ClientError("InvalidStateTransition", message)
    return original(backend, vpc_pcx_id)


@replaces(EC2Backend)
def modify_vpc_peering_connection_options(original, backend, vpc_pcx_id, **options):
    """moto accepts options before the peering has been accepted."""
    if backend.get_vpc_peering_connection(vpc_pcx_id).status["Code"] != "active":
        message = f"Peering {vpc_pcx_id} is not active. Peering options can be added only to active peerings."
        raise EC2ClientError("OperationNotPermitted", message)
    return original(backend, vpc_pcx_id, **options)
