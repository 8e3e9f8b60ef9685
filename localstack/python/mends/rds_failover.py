"""Switchover and failover of global clusters in moto, which has neither.

API reference: FailoverGlobalCluster, SwitchoverGlobalCluster, FailoverState; Aurora User Guide: Using switchover or
failover in Amazon Aurora Global Database.
"""

from moto.core.responses import ActionResult
from moto.rds.exceptions import DBClusterNotFoundError, InvalidDBClusterStateFault, InvalidParameterCombination
from moto.rds.models import DBCluster, GlobalCluster, RDSBackend
from moto.rds.responses import RDSResponse

from mends import replaces
from mends.conditions import CONDITIONS, later
from mends.rds import global_of, memberships, require_available

# The times in seconds: until the request is verified, and until the roles are changed.
PENDING, SWITCHING = 5, 60


def switchover_global_cluster(response):
    """Promotes a secondary without losing data: all members must respond."""
    return change_primary(response, "switching-over", allow_data_loss=False)


def failover_global_cluster(response):
    """Promotes a secondary, and loses what it does not have yet, or switches over."""
    allow_data_loss = response.params.get("AllowDataLoss")
    if allow_data_loss is not None and response.params.get("Switchover") is not None:
        raise InvalidParameterCombination("AllowDataLoss and Switchover can't be specified together.")
    status = "failing-over" if allow_data_loss else "switching-over"
    return change_primary(response, status, allow_data_loss=bool(allow_data_loss))


def change_primary(response, status, allow_data_loss):
    found = global_of(response.backend, response.params["GlobalClusterIdentifier"])
    target = member(response, found, response.params["TargetDbClusterIdentifier"])
    require_available(found)
    if target.is_writer:
        raise InvalidDBClusterStateFault(f"{target.resource_id} is the primary cluster of {found.resource_id} already.")
    if not target.members:
        raise InvalidDBClusterStateFault(f"{target.resource_id} has no DB instance that could become the writer.")
    # A failover does not need the primary.
    for needed in [target] if allow_data_loss else found.members:
        if needed.status != "available" or CONDITIONS.is_down(needed.region):
            raise InvalidDBClusterStateFault(f"{needed.resource_id} is not currently in the available state.")
    primary = next((member for member in found.members if member.is_writer), None)
    found.status = status
    found.failover_state = {
        "Status": "pending",
        "FromDbClusterArn": primary.arn if primary else None,
        "ToDbClusterArn": target.arn,
        "IsDataLossAllowed": allow_data_loss,
    }
    later(PENDING, lambda: found.failover_state.update(Status=status) if found.failover_state else None)
    later(PENDING + SWITCHING, lambda: promote(found, target))
    return ActionResult({"GlobalCluster": found})


def member(response, found, identifier):
    """The member with this ARN, or with this name in the request's region."""
    if not identifier.startswith("arn:"):
        cluster = response.backend.clusters.get(identifier)
        identifier = cluster.arn if cluster else identifier
    target = next((member for member in found.members if member.arn == identifier), None)
    if target is None:
        raise DBClusterNotFoundError(identifier, f"DBCluster {identifier} not found in {found.resource_id}.")
    return target


def promote(found, target):
    """Exchanges the roles. A primary whose region is down is synchronized when it is up again."""
    for cluster in found.members:
        cluster.is_writer = cluster is target
        cluster.needs_resync = CONDITIONS.is_down(cluster.region)
    found.status, found.failover_state = "available", None


def synchronization(cluster):
    if getattr(cluster, "needs_resync", False) and CONDITIONS.is_down(cluster.region):
        return "pending-resync"
    cluster.needs_resync = False
    return "connected"


def global_cluster_members(found, original=GlobalCluster.global_cluster_members.fget):
    """moto has neither the status of the synchronization nor that of write forwarding."""
    described = original(found)
    for entry, cluster in zip(described, found.members):
        entry["SynchronizationStatus"] = synchronization(cluster)
        if not cluster.is_writer and cluster.global_write_forwarding_requested:
            entry["GlobalWriteForwardingStatus"] = "enabled"
    return described


def db_cluster_members(cluster, original=DBCluster.db_cluster_members.fget):
    """A secondary cluster has readers only; moto calls one of them the writer."""
    described = original(cluster)
    if is_secondary(cluster):
        for entry in described:
            entry["IsClusterWriter"] = False
    return described


def is_secondary(cluster):
    return bool(memberships(cluster.backend, cluster)) and not cluster.is_writer


def describe_db_cluster_endpoints(response):
    """moto does not have this action. The writer endpoint of a secondary cluster is inactive."""
    name = response.params.get("DBClusterIdentifier")
    endpoints = []
    for cluster in response.backend.describe_db_clusters(name):
        writer = "inactive" if is_secondary(cluster) else "available"
        for kind, address, status in (
            ("WRITER", cluster.endpoint, writer),
            ("READER", cluster.reader_endpoint, "available"),
        ):
            endpoint = {"Endpoint": address, "EndpointType": kind, "Status": status}
            endpoints.append({"DBClusterIdentifier": cluster.db_cluster_identifier, **endpoint})
    return ActionResult({"DBClusterEndpoints": endpoints})


GlobalCluster.failover_state = None
GlobalCluster.global_cluster_members = property(global_cluster_members)
DBCluster.db_cluster_members = property(db_cluster_members)
for action in (switchover_global_cluster, failover_global_cluster, describe_db_cluster_endpoints):
    setattr(RDSResponse, action.__name__, action)


@replaces(RDSBackend)
def modify_db_cluster(original, backend, kwargs):
    """A cluster whose role is changing cannot be modified."""
    cluster = backend.clusters.get(kwargs["db_cluster_identifier"])
    for found in memberships(backend, cluster) if cluster else ():
        if found.status != "available":
            message = f"{cluster.resource_id} is a member of {found.resource_id}, which is {found.status}."
            raise InvalidDBClusterStateFault(message)
    return original(backend, kwargs=kwargs)
