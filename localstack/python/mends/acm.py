"""ACM in moto."""

import functools

from moto.acm.exceptions import AWSError
from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from mends import replaces
from mends.conditions import CONDITIONS


# The time after which a certificate is renewed, in seconds.
RENEWAL = 335 * 24 * 60 * 60


def account_of(certificate):
    return certificate.arn.split(":")[4]


def plain(name):
    return name.rstrip(".").lower()


def is_delegated(zone, zones):
    """Whether public DNS finds a zone: its parent has its NS record, which the gateway or a zone of the account says.

    Of several zones with one name, the parent knows the oldest.
    """
    if CONDITIONS.delegated is None:
        return True
    if zone is not next(other for other in zones if plain(other.name) == plain(zone.name)):
        return False
    if plain(zone.name) in CONDITIONS.delegated:
        return True
    parents = (parent for parent in zones if plain(zone.name).endswith(f".{plain(parent.name)}"))
    return any(
        record.type == "NS" and plain(record.name) == plain(zone.name)
        for parent in parents
        for record in parent.rrsets
        if is_delegated(parent, zones)
    )


def is_validated(certificate):
    """Whether the certificate's validation records exist in zones that public DNS finds.

    Names outside of moto's zones count as validated elsewhere, unless the gateway is strict.
    """
    zones = route53_backends[account_of(certificate)]["aws"].zones.values()
    for option in options(certificate):
        domain = plain(option["DomainName"])
        named = [zone for zone in zones if f".{domain}".endswith(f".{plain(zone.name)}")]
        ours = [zone for zone in named if is_delegated(zone, zones)]
        wanted = plain(option["ResourceRecord"]["Name"]), plain(option["ResourceRecord"]["Value"])
        found = (
            (plain(record.name), plain(value))
            for zone in ours
            for record in zone.rrsets
            if record.type == "CNAME"
            for value in record.records or []
        )
        if (named or CONDITIONS.delegated is not None) and wanted not in found:
            return False
    return True


@replaces(CertBundle)
def check(original, certificate):
    """A certificate is issued once its validation records exist, not after a delay."""
    if certificate.status != "PENDING_VALIDATION" or is_validated(certificate):
        original(certificate)


original_describe = CertBundle.describe


def options(certificate):
    return original_describe(certificate)["Certificate"].get("DomainValidationOptions", [])


@functools.wraps(original_describe)
def describe(certificate):
    """Lists the alternative names, and returns the validation records only some time after the request."""
    answer = original_describe(certificate)
    detail = answer["Certificate"]
    detail["SubjectAlternativeNameSummaries"] = detail["SubjectAlternativeNames"]
    if getattr(certificate, "describes", 0) <= 1:
        for option in detail.get("DomainValidationOptions", []):
            option.pop("ResourceRecord")
    if CONDITIONS.is_renewed(certificate.common_name):
        detail |= renewed(detail)
    return answer


def renewed(detail):
    """What a managed renewal changes: not the ARN."""
    summary = {
        "RenewalStatus": "SUCCESS",
        "DomainValidationOptions": detail.get("DomainValidationOptions", []),
        "UpdatedAt": detail["NotBefore"] + RENEWAL,
    }
    return {
        "NotBefore": detail["NotBefore"] + RENEWAL,
        "NotAfter": detail["NotAfter"] + RENEWAL,
        "Serial": f"{detail['Serial']}1",
        "RenewalEligibility": "ELIGIBLE",
        "RenewalSummary": summary,
    }


CertBundle.describe = describe


@replaces(AWSCertificateManagerBackend)
def describe_certificate(original, backend, arn):
    certificate = original(backend, arn=arn)
    certificate.describes = getattr(certificate, "describes", 0) + 1
    return certificate


@replaces(AWSCertificateManagerBackend)
def delete_certificate(original, backend, arn):
    """A certificate that a listener uses cannot be deleted."""
    for balancer in elbv2_backends[backend.account_id][backend.region_name].load_balancers.values():
        for listener in balancer.listeners.values():
            if arn in (getattr(listener, "certificates", None) or []):
                raise AWSError(f"Certificate {arn} is in use.", exception_type="ResourceInUseException")
    original(backend, arn=arn)
