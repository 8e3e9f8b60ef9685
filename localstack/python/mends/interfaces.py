"""Network interfaces that services make: in the subnets and groups of load balancers, tasks, databases and functions.

Only if the gateway is strict. They appear with their owners, cannot be deleted by the account, and stay for a while after
their owner is gone.

User guides: Application Load Balancers ("ELB app/NAME/ID"); Amazon ECS: Task networking with the awsvpc network mode;
Amazon RDS: Working with a DB instance in a VPC ("RDSNetworkInterface"); AWS Lambda: Giving functions access to resources
in a VPC ("AWS Lambda VPC ENI-NAME"); AWS PrivateLink ("VPC Endpoint Interface ID"). AWS-FACTS, Supplement: up to 20 minutes.
"""

import time

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends

from mends import replaces
from mends.conditions import CONDITIONS

# How long they stay, in seconds, and the factor if no latency is set.
LINGERS, SCALE = 20 * 60, 0.001


class Wanted:
    """An interface that a service needs."""

    def __init__(self, subnet, groups, requester, description):
        self.subnet, self.groups = subnet, groups
        self.requester, self.description = requester, description


def of_balancers(account, region):
    for balancer in elbv2_backends[account][region].load_balancers.values():
        description = f"ELB {balancer.arn.partition('loadbalancer/')[2]}"
        for subnet in balancer.subnets:
            groups = balancer.security_groups or []
            yield ("elb", balancer.arn, subnet.id), Wanted(subnet.id, groups, "amazon-elb", description)


def of_tasks(account, region):
    for service in ecs_backends[account][region].services.values():
        for rollout in getattr(service, "rollouts", []):
            network = (rollout.network or {}).get("awsvpcConfiguration", {})
            subnets, groups = network.get("subnets", []), network.get("securityGroups", [])
            for number, task in enumerate(rollout.tasks if subnets else []):
                description = f"arn:aws:ecs:{region}:{account}:attachment/{rollout.identifier.partition('/')[2]}-{number}"
                subnet = subnets[number % len(subnets)]
                yield ("ecs", rollout.identifier, task), Wanted(subnet, groups, "amazon-ecs", description)


def of_databases(account, region):
    for name, instance in rds_backends[account][region].databases.items():
        cluster = getattr(instance, "cluster", None)
        subnets = subnets_of(account, region, instance, cluster)
        if subnets:
            # A zone for each, in turn: the account cannot choose.
            subnet = subnets[sum(map(ord, name)) % len(subnets)]
            groups = instance.vpc_security_group_ids or []
            yield ("rds", instance.db_instance_arn), Wanted(subnet, groups, "amazon-rds", "RDSNetworkInterface")


def subnets_of(account, region, instance, cluster):
    if cluster:
        group = rds_backends[account][region].subnet_groups.get(cluster.db_subnet_group_name)
    else:
        group = getattr(instance, "db_subnet_group", None)
    return [subnet.id for subnet in group._subnets] if group else []


def of_functions(region):
    for function in CONDITIONS.functions:
        if function["region"] != region:
            continue
        groups = function["groups"]
        for subnet in function["subnets"]:
            description = f"AWS Lambda VPC ENI-{function['name']}"
            # Functions with the same subnet and groups share it.
            yield ("lambda", subnet, *groups), Wanted(subnet, groups, "amazon-lambda", description)


def wanted_in(account, region):
    found = [*of_balancers(account, region), *of_tasks(account, region), *of_databases(account, region)]
    return dict([*found, *of_functions(region)])


def services_of(backend):
    """The interfaces of services in a region, by owner."""
    return backend.__dict__.setdefault("service_interfaces", {})


def update(account):
    """Makes the interfaces of new owners, and removes those whose time has come."""
    if CONDITIONS.delegated is None:
        return
    for region, backend in list(ec2_backends[account].items()):
        describe_endpoints(backend)
        known, wanted = services_of(backend), wanted_in(account, region)
        for owner in wanted.keys() - known.keys():
            if interface := create(backend, wanted[owner]):
                known[owner] = interface
        for owner, interface in list(known.items()):
            if owner in wanted:
                interface.until = None
            elif interface.until is None:
                interface.until = time.monotonic() + LINGERS * (CONDITIONS.latency or SCALE)
            elif interface.until <= time.monotonic():
                del known[owner]
                backend.enis.pop(interface.id, None)


def create(backend, wanted):
    """An interface that belongs to a service; `None` for subnets that this emulator does not have."""
    if not any(wanted.subnet in subnets for subnets in backend.subnets.values()):
        return None
    interface = backend.create_network_interface(
        wanted.subnet, None, group_ids=wanted.groups, description=wanted.description
    )
    interface.requester_managed, interface.requester_id = True, wanted.requester
    interface.status, interface.until = "in-use", None
    return interface


def describe_endpoints(backend):
    """In moto, interfaces of endpoints are in the default group and belong to nobody."""
    for endpoint in backend.vpc_end_points.values():
        for interface in filter(None, map(backend.enis.get, endpoint.network_interface_ids or [])):
            interface.description = f"VPC Endpoint Interface {endpoint.id}"
            interface.requester_managed, interface.requester_id = True, "amazon-vpce"
            interface.status = "in-use"
            groups = map(backend.get_security_group_from_id, endpoint.security_group_ids or [])
            interface._group_set = list(filter(None, groups)) or interface._group_set


def linger(backend, interface_id):
    """Removes an interface of an endpoint that is gone, later if the gateway is strict."""
    interface = backend.enis.get(interface_id)
    if interface is None or CONDITIONS.delegated is None:
        backend.enis.pop(interface_id, None)
        return
    interface.until = None
    services_of(backend)[("endpoint", interface_id)] = interface


@replaces(EC2Backend)
def delete_network_interface(original, backend, eni_id):
    """An account cannot delete the interfaces of services."""
    interface = backend.enis.get(eni_id)
    if interface is not None and interface.requester_managed:
        message = f"You do not have permission to access the specified resource: {eni_id}"
        raise EC2ClientError("AuthFailure", message)
    return original(backend, eni_id=eni_id)
