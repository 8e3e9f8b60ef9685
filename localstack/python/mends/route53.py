"""Route 53 in moto."""

import itertools

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.route53.exceptions import (
    DnsNameInvalidForZone,
    InvalidActionValue,
    InvalidInput,
    NoSuchHealthCheck,
    Route53ClientError,
)
from moto.route53.models import DelegationSet, RecordSet, Route53Backend
from moto.route53.responses import Route53
from moto.route53.utils import validate_domain_name

from mends import replaces, traffic
from mends.conditions import CONDITIONS


def refuse(message):
    raise Route53ClientError("InvalidChangeBatch", f"[{message}]")


def known(name):
    """The normalized form of a name: `*` may be escaped."""
    return name.replace("\\052", "*").rstrip(".").lower()


def key(record):
    return known(record.name), record.type, record.set_identifier or None


def content(record):
    """The values that a deletion must match."""
    alias = record.alias_target
    return (
        key(record),
        None if record.ttl is None else int(record.ttl),
        sorted(record.records or []),
        alias and (alias["HostedZoneId"], known(alias["DNSName"]), str(alias["EvaluateTargetHealth"]).lower()),
        None if record.weight is None else int(record.weight),
        record.region,
        record.failover,
        record.health_check_id,
    )


def policy(record):
    """The routing policy; record sets with the same name and type must have the same one."""
    sorts = ("weight", "region", "failover", "geo_location", "multi_value_answer")
    return next((sort for sort in sorts if getattr(record, sort) is not None), "simple")


def changed(zone, records, action, record):
    """The record sets after one change."""
    title = f"name='{record.name}', type='{record.type}'"
    if record.set_identifier:
        title += f", set-identifier='{record.set_identifier}'"
    others = [other for other in records if key(other) != key(record)]
    same = next((other for other in records if key(other) == key(record)), None)
    if action == "DELETE":
        if same is None:
            refuse(f"Tried to delete resource record set [{title}] but it was not found")
        if content(same) != content(record):
            refuse(
                f"Tried to delete resource record set [{title}] but the values provided do not match the current values"
            )
        return others
    if action == "CREATE" and same is not None:
        refuse(f"Tried to create resource record set [{title}] but it already exists")
    if policy(record) == "simple" and record.set_identifier or policy(record) != "simple" and not record.set_identifier:
        refuse(f"Invalid set of parameters: [{title}] needs both, a routing policy and a set identifier, or none")
    for other in others:
        if (known(other.name), other.type) == (known(record.name), record.type) and policy(other) != policy(record):
            refuse(f"RRSet with DNS name {record.name}, type {record.type} cannot stand beside one of another routing")
        same_name = known(other.name) == known(record.name)
        if same_name and "CNAME" in (record.type, other.type) and other.type != record.type:
            refuse(
                f"RRSet of type CNAME with DNS name {record.name} is not permitted as it conflicts with other records"
                f" with the same DNS name in zone {zone.name}"
            )
    return [*others, record]


@replaces(Route53Backend)
def change_resource_record_sets(_original, backend, zoneid, change_list):
    """A batch is one transaction, `CREATE` is not `UPSERT`, and a deletion must match all values."""
    zone = backend.get_hosted_zone(zoneid)
    records = zone.rrsets
    for change in change_list:
        action, wanted = change["Action"], dict(change["ResourceRecordSet"])
        if action not in ("CREATE", "UPSERT", "DELETE"):
            raise InvalidActionValue(action)
        validate_domain_name(wanted["Name"], code="InvalidChangeBatch")
        wanted["Name"] = known(wanted["Name"]) + "."
        if not f".{wanted['Name']}".endswith("." + known(zone.name) + "."):
            raise DnsNameInvalidForZone(name=wanted["Name"], zone_name=zone.name)
        if "ResourceRecords" in wanted:
            wanted["ResourceRecords"] = [record["Value"] for record in wanted["ResourceRecords"]]
        record = RecordSet(wanted)
        if action != "DELETE" and record.health_check_id and record.health_check_id not in backend.health_checks:
            refuse(f"The health check with id {record.health_check_id} was not found")
        records = changed(zone, records, action, record)
    zone.rrsets = records


# The ends of the names of name servers, and how many there are of each.
ENDS, EACH = ("com", "net", "org", "co.uk"), 512
numbers = itertools.count(1)


@replaces(DelegationSet)
def __init__(original, delegation_set, caller_reference, name_servers, delegation_set_id):
    """Each zone has its own name servers if the gateway is strict. Otherwise all have the same ones, so that the parent
    delegates all zones of one name."""
    if name_servers is None and CONDITIONS.delegated is not None:
        number = next(numbers) % EACH
        name_servers = [f"ns-{number + index * EACH}.awsdns-{number % 64:02}.{end}" for index, end in enumerate(ENDS)]
    original(delegation_set, caller_reference, name_servers, delegation_set_id)


@replaces(Route53Backend)
def create_hosted_zone(original, backend, caller_reference, **arguments):
    if any(zone.caller_reference == caller_reference for zone in backend.zones.values()):
        message = f"A hosted zone has already been created with the specified caller reference {caller_reference}."
        raise Route53ClientError("HostedZoneAlreadyExists", message)
    return original(backend, caller_reference=caller_reference, **arguments)


@replaces(Route53Backend)
def delete_hosted_zone(original, backend, id_):
    zone = original(backend, id_=id_)
    backend.resource_tags.pop(zone.resource_id, None)
    return zone


def references(backend):
    """The caller references of all health checks, including deleted ones, with their arguments and ids."""
    return backend.__dict__.setdefault("health_check_references", {})


@replaces(Route53Backend)
def create_health_check(original, backend, caller_reference, health_check_args):
    """The same reference returns the same health check, unless its arguments differ or it was deleted."""
    if caller_reference in references(backend):
        arguments, identifier = references(backend)[caller_reference]
        if arguments == health_check_args and identifier in backend.health_checks:
            return backend.health_checks[identifier]
        message = f"A health check with the caller reference {caller_reference} already exists."
        raise Route53ClientError("HealthCheckAlreadyExists", message)
    check = original(backend, caller_reference=caller_reference, health_check_args=health_check_args)
    references(backend)[caller_reference] = (health_check_args, check.id)
    return check


@replaces(Route53Backend)
def update_health_check(original, backend, **arguments):
    check = original(backend, **arguments)
    check.health_check_version += 1
    return check


@replaces(Route53Backend)
def delete_health_check(original, backend, health_check_id):
    if health_check_id not in backend.health_checks:
        raise NoSuchHealthCheck(health_check_id)
    original(backend, health_check_id=health_check_id)
    backend.resource_tags.pop(health_check_id, None)


@replaces(Route53Backend)
def change_tags_for_resource(original, backend, resource_type, resource_id, **arguments):
    if resource_type == "healthcheck" and resource_id not in backend.health_checks:
        raise NoSuchHealthCheck(resource_id)
    original(backend, resource_type=resource_type, resource_id=resource_id, **arguments)


# The regions of the health checkers: API reference, HealthCheckConfig.
CHECKERS = (
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-west-1",
    "us-west-2",
)


def get_health_check_status(response):
    """In moto, all health checks succeed."""
    check = response.backend.get_health_check(response._get_param("HealthCheckId"))
    if check.type_ == "CALCULATED":
        raise InvalidInput("Calculated health checks have no observations.")
    status = "Failure: HTTP Status Code 503, Service Unavailable"
    if traffic.is_healthy(response.backend, check):
        status = "Success: HTTP Status Code 200, OK"
    report = {"Status": status, "CheckedTime": utcnow()}
    observations = [
        {"Region": region, "IPAddress": f"192.0.2.{index}", "StatusReport": report}
        for index, region in enumerate(check.regions or CHECKERS, start=1)
    ]
    return ActionResult({"HealthCheckObservations": observations})


Route53.get_health_check_status = get_health_check_status
