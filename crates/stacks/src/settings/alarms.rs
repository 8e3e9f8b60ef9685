//! What the alarms of all stacks have.

use payinfra_stack::Section;

use super::Subscription;

/// Checks the subscriptions of the topic of the alarms.
pub(crate) fn subscriptions(subscriptions: &[Subscription], section: &mut Section<'_>) {
    for (index, subscription) in subscriptions.iter().enumerate() {
        section.check(&format!("subscriptions.{index}"), subscription.check());
    }
}

/// Checks the subscriptions of the topic of the alarms, and when they fire.
pub(crate) fn alarms(list: &[Subscription], period_seconds: i32, periods: i32, section: &mut Section<'_>) {
    subscriptions(list, section);
    if section.number("period_seconds", period_seconds, 60..=3_600) && period_seconds % 60 != 0 {
        let message = format!("CloudWatch does not support a period of {period_seconds} seconds");
        section.wrong("period_seconds", message, "use a multiple of 60");
    }
    section.number("periods", periods, 1..=24);
}
