"""Rollouts of ECS services: new tasks start, become healthy and replace the old ones, or fail.

Developer Guide: Deploy Amazon ECS services by replacing tasks; How the Amazon ECS deployment circuit breaker detects
failures. In moto, tasks of services never start.
"""

from moto.core.utils import utcnow
from moto.ec2 import ec2_backends
from moto.ec2.utils import random_private_ip
from moto.elbv2.models import elbv2_backends
from moto.moto_api._internal import mock_random

from mends.conditions import CONDITIONS, later
from mends.elbv2 import deregistration_delay, target_state

GONE = ("DELETE_IN_PROGRESS", "INACTIVE")

# The times of a task of about average size, in seconds: until it runs, until its first health check, until ECS notices
# that the service is steady, and until a stopped task is gone.
START, CHECK, STEADY, STOP = 60, 10, 20, 60

# The circuit breaker's threshold is half the desired count, within these bounds.
THRESHOLD = (3, 200)

# The name of an image whose tasks fail their health checks, unless the conditions say otherwise.
BAD = "bad"


def active(resource):
    return resource is not None and resource.status not in GONE


class Rollout:
    """A deployment of a service, with its tasks."""

    def __init__(self, backend, service):
        self.backend = backend
        self.service = service
        self.task_definition = service.task_definition
        definition = backend.describe_task_definition(self.task_definition) if self.task_definition else None
        self.images = [container["image"] for container in definition.container_definitions] if definition else []
        self.network = service.network_configuration
        self.balancers = service.load_balancers
        # Addresses.
        self.tasks = []
        self.failed_tasks = 0
        self.is_rollback = False
        self.identifier = f"ecs-svc/{mock_random.randint(10**18, 10**19 - 1)}"
        self.created = utcnow()
        self.become("IN_PROGRESS", "in progress.")

    def become(self, state, reason):
        self.state, self.updated = state, utcnow()
        self.reason = reason if reason.startswith("ECS") else f"ECS deployment {self.identifier} {reason}"

    @property
    def is_current(self):
        return rollouts_of(self.service)[:1] == [self]

    @property
    def groups(self):
        """The target groups of the tasks that still exist, with the port."""
        known = elbv2_backends[self.backend.account_id][self.backend.region_name].target_groups
        named = [(known.get(balancer.get("targetGroupArn")), balancer["containerPort"]) for balancer in self.balancers]
        return [(group, port) for group, port in named if group]

    def works(self):
        """Whether the tasks pass their health checks: all images must be good ones."""
        verdicts = [(image, CONDITIONS.is_healthy(image)) for image in self.images]
        return all(BAD not in image if healthy is None else healthy for image, healthy in verdicts)

    def start(self):
        """Starts the missing tasks, if it is still the current deployment."""
        if not self.is_current or self.state == "FAILED":
            return
        self.make_room()
        while len(self.tasks) < self.service.desired_count:
            self.start_task()
        if self.state == "IN_PROGRESS":
            wait = max([CHECK, *(int(group.health_check_interval_seconds) for group, _ in self.groups)])
            later(wait if self.tasks else 0, self.check)
        show(self.backend, self.service)

    def make_room(self):
        """Stops old tasks first if there may be no more tasks than desired."""
        configuration = getattr(self.service, "deployment_configuration", None) or {}
        if configuration.get("maximumPercent", 200) > 100:
            return
        keep = -(-self.service.desired_count * configuration.get("minimumHealthyPercent", 100) // 100)
        for rollout in rollouts_of(self.service)[1:]:
            rollout.stop(keep=keep)

    def start_task(self):
        """A task is a target of the groups, with its own address in one of the subnets."""
        subnets = (self.network or {}).get("awsvpcConfiguration", {}).get("subnets", [])
        if not subnets:
            self.tasks.append(f"task-{len(self.tasks)}")
            return
        subnet = subnets[len(self.tasks) % len(subnets)]
        block = ec2_backends[self.backend.account_id][self.backend.region_name].get_subnet(subnet).cidr_block
        taken = {address for group, _ in self.groups for address in group.targets}.union(self.tasks)
        address = next(address for address in iter(lambda: random_private_ip(block), None) if address not in taken)
        self.tasks.append(address)
        for group, port in self.groups:
            group.register([{"Id": address, "Port": port, "Works": self.works, "Task": self.task_definition}])

    def is_healthy(self):
        targets = [(group, group.targets.get(task)) for group, _ in self.groups for task in self.tasks]
        # A target that somebody else deregistered is not healthy either.
        return self.works() and all(target and target_state(group, target) == "healthy" for group, target in targets)

    def check(self):
        """Replaces the old tasks if the new ones are healthy."""
        if not self.is_current or self.state != "IN_PROGRESS":
            return
        if not self.is_healthy():
            self.fail()
            return
        old = [rollout for rollout in rollouts_of(self.service) if rollout is not self]
        waits = [rollout.stop() for rollout in old]
        later(max(waits, default=0) + STEADY, lambda: self.complete(old))
        show(self.backend, self.service)

    def complete(self, old):
        rollouts = rollouts_of(self.service)
        rollouts[:] = [rollout for rollout in rollouts if rollout not in old]
        if self.is_current and self.state == "IN_PROGRESS":
            self.become("COMPLETED", "completed.")
            tell(self.service, "has reached a steady state.")
        show(self.backend, self.service)

    def fail(self):
        """Counts tasks that failed, which ECS replaces until the circuit breaker opens."""
        self.failed_tasks += len(self.tasks)
        configuration = getattr(self.service, "deployment_configuration", None) or {}
        breaker = configuration.get("deploymentCircuitBreaker") or {}
        threshold = min(max(-(-self.service.desired_count // 2), THRESHOLD[0]), THRESHOLD[1])
        if self.failed_tasks < threshold:
            later(START + CHECK, self.check)
        elif self.is_rollback or not breaker.get("enable"):
            # It continues until the tasks are healthy.
            later(START + CHECK, self.check, at_least=0.05)
        else:
            self.become("FAILED", "ECS deployment circuit breaker: tasks failed to start.")
            tell(self.service, f"(deployment {self.identifier}) deployment failed: tasks failed to start.")
            self.stop()
            if breaker.get("rollback"):
                self.roll_back()
        show(self.backend, self.service)

    def roll_back(self):
        """The last completed deployment becomes the current one again; its tasks have continued to run."""
        rollouts = rollouts_of(self.service)
        completed = next((rollout for rollout in rollouts if rollout.state == "COMPLETED"), None)
        if completed is None:
            return
        tell(self.service, f"rolling back to deployment {completed.identifier}.")
        rollouts.remove(completed)
        rollouts.insert(0, completed)
        self.service.task_definition = completed.task_definition
        self.service.network_configuration = completed.network
        self.service.load_balancers = completed.balancers
        reason = f"ECS deployment circuit breaker: rolling back to deploymentId {completed.identifier}."
        completed.become("IN_PROGRESS", reason)
        completed.is_rollback = True
        completed.start()

    def stop(self, keep=0):
        """Stops all but some tasks, and returns the time until they are gone."""
        stopped, self.tasks = self.tasks[keep:], self.tasks[:keep]
        for group, _ in self.groups:
            group.deregister([{"Id": task} for task in stopped if task in group.targets])
        delays = [deregistration_delay(group) for group, _ in self.groups]
        return max(delays, default=0) + STOP if stopped else 0

    def description(self):
        desired = self.service.desired_count if self.is_current and self.state != "FAILED" else 0
        return {
            "createdAt": self.created,
            "desiredCount": desired,
            "failedTasks": self.failed_tasks,
            "id": self.identifier,
            "launchType": self.service.launch_type,
            "networkConfiguration": self.network,
            "pendingCount": max(desired - len(self.tasks), 0),
            "platformFamily": "EC2" if self.service.launch_type == "EC2" else "FARGATE",
            "platformVersion": self.service.platform_version,
            "rolloutState": self.state,
            "rolloutStateReason": self.reason,
            "runningCount": len(self.tasks),
            "status": "PRIMARY" if self.is_current else "ACTIVE",
            "taskDefinition": self.task_definition,
            "updatedAt": self.updated,
        }


def rollouts_of(service):
    """The deployments of a service, the current one first."""
    return service.__dict__.setdefault("rollouts", [])


# The classes of deployments by strategy.
STRATEGIES = {"ROLLING": Rollout}


def deploy(backend, service):
    """Starts a deployment."""
    configuration = getattr(service, "deployment_configuration", None) or {}
    rollout = STRATEGIES[configuration.get("strategy", "ROLLING")](backend, service)
    rollouts_of(service).insert(0, rollout)
    later(START if service.desired_count else 0, rollout.start)
    show(backend, service)


def scale(backend, service):
    """Starts or stops tasks of the current deployment."""
    for rollout in rollouts_of(service)[:1]:
        if len(rollout.tasks) > service.desired_count:
            rollout.stop(keep=service.desired_count)
        elif len(rollout.tasks) < service.desired_count:
            later(START, rollout.start)
    show(backend, service)


def stop(backend, service):
    """Stops a deleted service."""
    service.desired_count = 0
    for rollout in rollouts_of(service):
        rollout.stop()
    rollouts_of(service).clear()
    show(backend, service)


def show(backend, service):
    """Updates the numbers in the descriptions of a service and its cluster."""
    rollouts = rollouts_of(service)
    descriptions = [rollout.description() for rollout in rollouts]
    # With another controller, others deploy, and the service has no deployments.
    service.deployments = descriptions if service.deployment_controller["type"] == "ECS" else []
    service.running_count = sum(description["runningCount"] for description in descriptions)
    service.pending_count = sum(description["pendingCount"] for description in descriptions)
    cluster = backend.clusters[service.cluster_name]
    services = [other for other in backend.services.values() if active(other) and other.cluster_name == cluster.name]
    cluster.running_tasks_count = sum(other.running_count for other in services)
    cluster.pending_tasks_count = sum(other.pending_count for other in services)
    cluster.active_services_count = len(services)


def tell(service, message):
    """Adds an event, the newest first."""
    event = {
        "id": str(mock_random.uuid4()),
        "createdAt": utcnow(),
        "message": f"(service {service.name}) {message}",
    }
    service.events.insert(0, event)
