//! Examples of ACM.

use std::collections::BTreeSet;

use aws_sdk_acm::types::ValidationMethod;
use payinfra_aws::acm::{Certificate, ExistingCertificate};
use payinfra_aws::route53::DnsName;
use payinfra_aws::{Access, Aws, Explain, Need};
use payinfra_engine::{Cloud, Error, Lookup, Region, Result, Tags};
use serde_json::{Value, json};

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::access;

examples![certificate, existing_certificate];

fn args(domain: &str) -> Certificate {
    Certificate {
        domain_name: DnsName::new(domain),
        subject_alternative_names: BTreeSet::from([DnsName::new(&format!("*.{domain}"))]),
        tags: Tags::new(),
    }
}

fn certificate() -> Result<Example> {
    Ok(Example::new(graph("certificate"), &region(), args("certificate.example"))?.again(Again::Same))
}

fn existing_certificate() -> Result<Example> {
    let mut graph = graph("existing-certificate");
    let certificate = graph.add(&region(), "issued", args("existing.example"))?;
    let lookup = ExistingCertificate { arn: None, domain_name: DnsName::new("api.existing.example") };
    Example::lookup(graph, &region(), &lookup, json!({ "arn": form(&certificate.outputs.arn)? }))
}

async fn find(access: &Access, arn: Option<&str>, name: &str) -> Result<Value, String> {
    let lookup = ExistingCertificate { arn: arn.map(str::to_owned), domain_name: DnsName::new(name) };
    let aws = Aws::new(access.clone());
    let args = form(&lookup).map_err(|error: Error| error.to_string())?;
    aws.find(&region(), ExistingCertificate::KIND, &args).await.map_err(|error| error.message().to_owned())
}

#[tokio::test]
async fn a_certificate_must_be_issued_for_the_name_and_of_the_region() -> Result<()> {
    let access = access().await?;
    let request = async |region: &Region, domain: &str| {
        let call = access.cx(region).acm().request_certificate().domain_name(domain);
        call.validation_method(ValidationMethod::Dns).send().await.explain()?.certificate_arn.need("CertificateArn")
    };
    // The emulator issues certificates outside of its zones after a second.
    let zone = access.cx(&Region::global());
    let zone = zone.route53().create_hosted_zone().name("pending.example").caller_reference("pending.example");
    let zone = zone.send().await.explain()?.hosted_zone.need("HostedZone")?;
    let issued = request(&region(), "*.issued.example").await?;
    let pending = request(&region(), "pending.example").await?;
    let elsewhere = request(&Region::new("us-west-2"), "*.issued.example").await?;
    let begun = std::time::Instant::now();
    let waits = |found: &Result<Value, String>| found.as_ref().is_err_and(|error| error.contains("is not issued"));
    while waits(&find(&access, Some(&issued), "a.issued.example").await) && begun.elapsed().as_secs() < 30 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let found = Ok(json!({ "arn": issued }));
    assert_eq!(find(&access, Some(&issued), "a.issued.example").await, found);
    assert_eq!(find(&access, None, "a.issued.example").await, found);
    let told = |what: &str, arn: &str, how: &str| Err(format!("{what} {arn} {how}"));
    let the = "the certificate";
    for (arn, name, expected) in [
        (
            &issued,
            "a.b.issued.example",
            told(the, &issued, "is not valid for a.b.issued.example, only for *.issued.example"),
        ),
        (&issued, "issued.example", told(the, &issued, "is not valid for issued.example, only for *.issued.example")),
        (&pending, "pending.example", told(the, &pending, "is not issued: its status is PENDING_VALIDATION")),
        (&elsewhere, "a.issued.example", told(the, &elsewhere, "is in us-west-2, but is needed in us-east-1")),
    ] {
        assert_eq!(find(&access, Some(arn), name).await, expected);
    }
    let wrong = Err("`arn:aws:iam::1:x` is not the ARN of a certificate".to_owned());
    assert_eq!(find(&access, Some("arn:aws:iam::1:x"), "a.issued.example").await, wrong);
    let none = Err("us-east-1 has no issued certificate for pending.example".to_owned());
    assert_eq!(find(&access, None, "pending.example").await, none);
    for (region, arn) in [(region(), &issued), (region(), &pending), (Region::new("us-west-2"), &elsewhere)] {
        access.cx(&region).acm().delete_certificate().certificate_arn(arn).send().await.explain()?;
    }
    access.cx(&Region::global()).route53().delete_hosted_zone().id(zone.id).send().await.explain()?;
    let gone = Err(format!("certificate {issued} not found in us-east-1"));
    assert_eq!(find(&access, Some(&issued), "a.issued.example").await, gone);
    Ok(())
}
