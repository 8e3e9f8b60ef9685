"""RDS in moto: dependencies, global clusters, and updates in place."""

import uuid

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterSnapshotAlreadyExistsError,
    DBParameterGroupNotFoundError,
    DBSubnetGroupNotFoundError,
    InvalidDBClusterStateFault,
    InvalidGlobalClusterStateFault,
    InvalidParameterCombination,
    RDSClientError,
)
from moto.rds.models import (
    DBClusterParameterGroup,
    DBSubnetGroup,
    GlobalCluster,
    MasterUserSecret,
    RDSBackend,
    rds_backends,
)
from moto.rds.responses import RDSResponse

from mends import replaces


def taken(code, noun, name, where):
    """Rejects a name that exists."""
    if name in where:
        raise RDSClientError(code, f"{noun} {name} already exists.")


def globals_of(backend):
    """Global clusters are stored in one region."""
    return rds_backends[backend.account_id]["us-east-1"].global_clusters


def global_of(backend, name):
    if name not in globals_of(backend):
        raise RDSClientError("GlobalClusterNotFoundFault", f"Global cluster {name} not found.")
    return globals_of(backend)[name]


def require_available(found):
    """Rejects changes of a global cluster whose primary is changing."""
    if found.status != "available":
        message = f"Global cluster {found.resource_id} is {found.status}, but it must be available."
        raise RDSClientError("InvalidGlobalClusterStateFault", message)


def memberships(backend, cluster):
    """The global clusters that have a cluster as a member."""
    return [found for found in globals_of(backend).values() if cluster in found.members]


# Groups


@replaces(RDSBackend)
def create_subnet_group(original, backend, subnet_name, description, subnets, tags):
    """In moto, a second one replaces the first; one zone is sufficient."""
    taken("DBSubnetGroupAlreadyExists", "DB subnet group", subnet_name, backend.subnet_groups)
    zones(subnets)
    return original(backend, subnet_name=subnet_name, description=description, subnets=subnets, tags=tags)


@replaces(RDSBackend)
def modify_db_subnet_group(original, backend, subnet_name, description, subnets):
    """moto loses it when it is modified."""
    if subnet_name not in backend.subnet_groups:
        raise DBSubnetGroupNotFoundError(subnet_name)
    zones(subnets)
    group = original(backend, subnet_name=subnet_name, description=description, subnets=subnets)
    backend.subnet_groups[subnet_name] = group
    return group


def zones(subnets):
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        message = "The DB subnet group doesn't meet the coverage requirement: add subnets to cover at least 2 AZs."
        raise RDSClientError("DBSubnetGroupDoesNotCoverEnoughAZs", message)


@replaces(RDSBackend)
def delete_subnet_group(original, backend, subnet_name):
    """moto deletes it while it is in use."""
    clusters = any(cluster.db_subnet_group_name == subnet_name for cluster in backend.clusters.values())
    if clusters or any(found._db_subnet_group_name == subnet_name for found in backend.databases.values()):
        message = f"Cannot delete the subnet group '{subnet_name}' because a database instance is still using it."
        raise RDSClientError("InvalidDBSubnetGroupStateFault", message)
    return original(backend, subnet_name=subnet_name)


@replaces(RDSBackend)
def delete_db_cluster_parameter_group(original, backend, db_cluster_parameter_group_name):
    """moto deletes it while it is in use."""
    if any(cluster.parameter_group == db_cluster_parameter_group_name for cluster in backend.clusters.values()):
        message = "One or more database instances are still members of this parameter group"
        raise RDSClientError("InvalidDBParameterGroupState", message)
    return original(backend, db_cluster_parameter_group_name=db_cluster_parameter_group_name)


@replaces(RDSBackend)
def delete_db_parameter_group(original, backend, db_parameter_group_name):
    """As above, of an instance."""
    if any(found.db_parameter_group_name == db_parameter_group_name for found in backend.databases.values()):
        message = "One or more database instances are still members of this parameter group"
        raise RDSClientError("InvalidDBParameterGroupState", message)
    return original(backend, db_parameter_group_name=db_parameter_group_name)


def reset(group, params):
    """moto does not have this action."""
    if group is None:
        name = params.get("DBParameterGroupName") or params.get("DBClusterParameterGroupName")
        raise DBParameterGroupNotFoundError(name)
    if params.get("ResetAllParameters"):
        group.parameters.clear()
    for parameter in params.get("Parameters", []):
        group.parameters.pop(parameter["ParameterName"], None)
    return group.name


def reset_db_parameter_group(response):
    group = response.backend.db_parameter_groups.get(response.params.get("DBParameterGroupName"))
    return ActionResult({"DBParameterGroupName": reset(group, response.params)})


def reset_db_cluster_parameter_group(response):
    group = response.backend.db_cluster_parameter_groups.get(response.params.get("DBClusterParameterGroupName"))
    return ActionResult({"DBClusterParameterGroupName": reset(group, response.params)})


RDSResponse.reset_db_parameter_group = reset_db_parameter_group
RDSResponse.reset_db_cluster_parameter_group = reset_db_cluster_parameter_group


# Global clusters


def create_global_cluster(response):
    """In moto, a second one replaces the first; database and tags are lost."""
    params = response.params
    name = params["GlobalClusterIdentifier"]
    taken("GlobalClusterAlreadyExistsFault", "Global cluster", name, globals_of(response.backend))
    cluster = response.global_backend.create_global_cluster(
        global_cluster_identifier=name,
        source_db_cluster_identifier=params.get("SourceDBClusterIdentifier"),
        engine=params.get("Engine"),
        engine_version=params.get("EngineVersion"),
        storage_encrypted=params.get("StorageEncrypted"),
        deletion_protection=params.get("DeletionProtection"),
    )
    cluster.database_name = params.get("DatabaseName")
    cluster.tags = params.get("Tags", [])
    return ActionResult({"GlobalCluster": cluster})


def describe_global_clusters(response):
    """moto ignores the name."""
    name = response.params.get("GlobalClusterIdentifier")
    found = [global_of(response.backend, name)] if name else list(globals_of(response.backend).values())
    return ActionResult({"GlobalClusters": found})


def modify_global_cluster(response):
    """moto does not have this action."""
    cluster = global_of(response.backend, response.params["GlobalClusterIdentifier"])
    require_available(cluster)
    if "DeletionProtection" in response.params:
        cluster.deletion_protection = response.params["DeletionProtection"]
    if version := response.params.get("EngineVersion"):
        cluster.engine_version = version
        for member in cluster.members:
            member.engine_version = version
    return ActionResult({"GlobalCluster": cluster})


def delete_global_cluster(response):
    """In moto, a missing one is an internal error, and a protected one can be deleted."""
    name = response.params["GlobalClusterIdentifier"]
    if global_of(response.backend, name).deletion_protection:
        message = "Cannot delete protected Global Cluster, please disable deletion protection and try again."
        raise InvalidParameterCombination(message)
    return ActionResult({"GlobalCluster": response.global_backend.delete_global_cluster(name)})


def remove_from_global_cluster(response):
    """In moto, this works in one region only, never fails, and lets the primary leave before its secondaries."""
    found = global_of(response.backend, response.params["GlobalClusterIdentifier"])
    arn = response.params["DbClusterIdentifier"]
    member = next((member for member in found.members if member.arn == arn), None)
    if member is None:
        raise RDSClientError("DBClusterNotFoundFault", f"DBCluster {arn} not found in {found.resource_id}.")
    require_available(found)
    if member.is_writer and len(found.members) > 1:
        message = "The primary cluster can be removed only after all secondary clusters."
        raise RDSClientError("InvalidGlobalClusterStateFault", message)
    found.members.remove(member)
    member.global_cluster_identifier = None
    return ActionResult({"GlobalCluster": found})


for action in (
    create_global_cluster,
    describe_global_clusters,
    modify_global_cluster,
    delete_global_cluster,
    remove_from_global_cluster,
):
    setattr(RDSResponse, action.__name__, action)


# Clusters


@replaces(RDSBackend)
def create_db_cluster(original, backend, kwargs):
    """In moto, a second one replaces the first, and the global cluster does not have to exist."""
    taken("DBClusterAlreadyExistsFault", "DB cluster", kwargs["db_cluster_identifier"], backend.clusters)
    group = kwargs.get("db_subnet_group_name")
    if group and group not in backend.subnet_groups:
        raise DBSubnetGroupNotFoundError(group)
    group = kwargs.get("db_cluster_parameter_group_name")
    if group and not group.startswith("default.") and group not in backend.db_cluster_parameter_groups:
        raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {group}")
    if name := kwargs.get("global_cluster_identifier"):
        follow(global_of(backend, name), kwargs)
    if source := kwargs.get("replication_source_identifier"):
        replicate(backend, source, kwargs)
    return original(backend, kwargs=kwargs)


def replicate(backend, arn, kwargs):
    """Checks the parameters of a replica of a cluster in another region, which has its users and databases."""
    for parameter, name in (("master_username", "user name"), ("master_user_password", "password")):
        if kwargs.get(parameter):
            raise InvalidParameterCombination(f"Cannot specify {name} for cross region replication cluster")
    if kwargs.get("database_name"):
        raise InvalidParameterCombination("Cannot specify database name for cross region replication cluster")
    region, name = arn.split(":")[3], arn.split(":")[-1]
    source = rds_backends[backend.account_id][region].clusters.get(name)
    if source is None:
        raise RDSClientError("DBClusterNotFoundFault", f"Source cluster {arn} not found.")
    if source.storage_encrypted and not kwargs.get("kms_key_id"):
        raise InvalidParameterCombination("The source cluster is encrypted; specify KmsKeyId.")
    if len(source.read_replica_identifiers) >= 5:
        raise InvalidDBClusterStateFault(f"{name} has five replicas.")
    if not source.members:
        raise InvalidDBClusterStateFault(f"{name} has no writer.")
    # moto requires them.
    kwargs["master_username"], kwargs["master_user_password"] = source.master_username, "that of its source"
    kwargs["database_name"] = source.database_name


@replaces(RDSBackend)
def promote_read_replica_db_cluster(original, backend, db_cluster_identifier):
    """In moto, a cluster that is no replica is an internal error."""
    cluster = backend.clusters.get(db_cluster_identifier)
    if cluster is not None and cluster.replication_source_identifier is None:
        raise InvalidDBClusterStateFault(f"{db_cluster_identifier} is not a read replica.")
    return original(backend, db_cluster_identifier=db_cluster_identifier)


def follow(found, kwargs):
    """Checks the parameters that a member of a global cluster requires or does not support."""
    if kwargs.get("manage_master_user_password"):
        raise InvalidParameterCombination("ManageMasterUserPassword isn't supported for members of a global cluster.")
    # The default is the version of the global cluster.
    kwargs["engine_version"] = kwargs.get("engine_version") or found.engine_version
    if kwargs["engine_version"] != found.engine_version or kwargs["engine"] != found.engine:
        raise InvalidParameterCombination("The engine is not that of the global cluster.")
    if not found.members:
        if not kwargs.get("master_username") or not kwargs.get("master_user_password"):
            raise InvalidParameterCombination("MasterUsername and MasterUserPassword must be provided.")
        return
    primary = next(member for member in found.members if member.is_writer)
    if kwargs.get("master_username"):
        raise InvalidParameterCombination("Cannot specify user name for cross region replication cluster")
    if kwargs.get("master_user_password"):
        raise InvalidParameterCombination("Cannot specify password for cross region replication cluster")
    if kwargs.get("database_name"):
        raise InvalidParameterCombination("Cannot specify database name for cross region replication cluster")
    if any(member.resource_id == kwargs["db_cluster_identifier"] for member in found.members):
        raise InvalidParameterCombination("The identifier is that of another member of the global cluster.")
    if not primary.members:
        raise InvalidDBClusterStateFault(f"{primary.resource_id} has no writer.")


@replaces(RDSBackend)
def modify_db_cluster(original, backend, kwargs):
    """moto ignores log exports, IAM authentication, and the version of the global cluster."""
    name = kwargs["db_cluster_identifier"]
    exports = kwargs.get("cloudwatch_logs_export_configuration")
    changed = original(backend, kwargs=kwargs)
    cluster = backend.clusters[name]
    authentication = kwargs.get("enable_iam_database_authentication")
    if authentication is not None:
        cluster.iam_auth = authentication
    for found in memberships(backend, cluster):
        if cluster.is_writer:
            found.engine_version = cluster.engine_version
    if exports:
        logs = set(cluster.enabled_cloudwatch_logs_exports) - set(exports.get("DisableLogTypes") or [])
        cluster.enabled_cloudwatch_logs_exports = sorted(logs | set(exports.get("EnableLogTypes") or []))
    return changed


@replaces(RDSBackend)
def delete_db_cluster(original, backend, cluster_identifier, snapshot_name):
    """moto deletes members of a global cluster and secrets before a failing snapshot, and keeps backups."""
    cluster = backend.clusters.get(cluster_identifier)
    if cluster and snapshot_name and snapshot_name in backend.cluster_snapshots:
        raise DBClusterSnapshotAlreadyExistsError(snapshot_name)
    if cluster and memberships(backend, cluster):
        message = "This cluster is a part of a global cluster, please remove it from globalcluster first"
        raise InvalidDBClusterStateFault(message)
    if cluster and cluster.read_replica_identifiers:
        raise InvalidDBClusterStateFault("This cluster has read replicas. Delete the replica cluster before deleting")
    deleted = original(backend, cluster_identifier=cluster_identifier, snapshot_name=snapshot_name)
    for name, snapshot in list(backend.cluster_snapshots.items()):
        if snapshot.snapshot_type == "automated" and snapshot.db_cluster_identifier == deleted.db_cluster_identifier:
            del backend.cluster_snapshots[name]
    return deleted


def require_final_snapshot(params):
    """AWS requires either a final snapshot or an explicit request to skip it."""
    name, skip = params.get("FinalDBSnapshotIdentifier"), params.get("SkipFinalSnapshot")
    if not name and not skip:
        message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        raise InvalidParameterCombination(message)
    if name and skip:
        message = "FinalDBSnapshotIdentifier can't be specified when SkipFinalSnapshot is true."
        raise InvalidParameterCombination(message)


@replaces(RDSResponse)
def delete_db_cluster(original, response):
    """moto deletes it without a final snapshot although this was not requested."""
    if response.params.get("DBClusterIdentifier") in response.backend.clusters:
        require_final_snapshot(response.params)
    return original(response)


@replaces(RDSResponse)
def delete_db_instance(original, response):
    """As above; the final snapshot of a member of an Aurora cluster is the cluster's."""
    instance = response.backend.databases.get(response.params.get("DBInstanceIdentifier"))
    if instance is None:
        return original(response)
    if not instance.db_cluster_identifier:
        require_final_snapshot(response.params)
        return original(response)
    cluster = response.backend.clusters.get(instance.db_cluster_identifier)
    if cluster and cluster.replication_source_identifier and len(cluster.members) <= 1:
        message = "Cannot delete the last instance of the read replica DB cluster. Promote the DB cluster first."
        raise InvalidDBClusterStateFault(message)
    return original(response)


# moto looks for the key in its own KMS, but another emulator provides KMS.
MasterUserSecret.kms_key_id = property(lambda secret: secret.secret.kms_key_id)


# Instances


def insights(instance, arguments):
    """moto does not store Performance Insights."""
    enabled = arguments.get("enable_performance_insights")
    if enabled is not None:
        instance.performance_insights_enabled = enabled
    if getattr(instance, "performance_insights_enabled", False):
        for field in ("performance_insights_retention_period", "performance_insights_kms_key_id"):
            if value := arguments.get(field):
                setattr(instance, field, value)
    return instance


@replaces(RDSBackend)
def create_db_instance(original, backend, db_kwargs):
    """In moto, all instances have the same resource id."""
    instance = insights(original(backend, db_kwargs=db_kwargs), db_kwargs)
    instance.dbi_resource_id = f"db-{uuid.uuid4().hex[:26].upper()}"
    return instance


@replaces(RDSBackend)
def modify_db_instance(original, backend, db_instance_identifier, db_kwargs):
    """moto ignores the port, and lets the storage shrink."""
    instance = backend.databases.get(db_instance_identifier)
    storage = db_kwargs.get("allocated_storage")
    if instance and storage and storage < instance.allocated_storage:
        raise InvalidParameterCombination("Requested storage size cannot be less than the current storage size.")
    instance = original(backend, db_instance_identifier=db_instance_identifier, db_kwargs=db_kwargs)
    if port := db_kwargs.get("db_port_number"):
        instance.port = port
    return insights(instance, db_kwargs)


# Tags


@replaces(RDSBackend)
def _get_resource_for_tagging(original, backend, arn):
    """In moto, global clusters cannot be tagged."""
    if ":global-cluster:" in arn:
        return global_of(backend, arn.rpartition(":")[2])
    return original(backend, arn=arn)
