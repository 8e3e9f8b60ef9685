//! The false positive rate of the card number detection: a million samples of each kind of value that payments contain.
//!
//!     cargo run --release --package payment-core --example false_alarms

#![expect(clippy::print_stdout, reason = "it prints a table")]

use payment_core::card;
use sha2::{Digest, Sha256};

/// The number of samples of each kind.
const COUNT: u64 = 1_000_000;

/// Random numbers with a fixed seed.
struct Random(u64);

impl Random {
    fn block(&mut self) -> [u8; 32] {
        self.0 += 1;
        Sha256::digest(self.0.to_be_bytes()).into()
    }

    fn below(&mut self, limit: u64) -> u64 {
        let block = self.block();
        block[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) % limit
    }

    fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.block()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A time in the years 2020 to 2050.
    fn ulid(&mut self) -> String {
        let alphabet: Vec<char> = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().collect();
        let time = 1_577_836_800_000 + self.below(946_080_000_000);
        let block = self.block();
        let digits = (0..10)
            .rev()
            .map(|place| (time >> (5 * place)) & 31)
            .chain(block[..16].iter().map(|byte| u64::from(byte & 31)));
        digits.filter_map(|digit| alphabet.get(usize::try_from(digit).ok()?)).collect()
    }

    /// RFC 3339 to the second, with an offset.
    fn date(&mut self) -> String {
        let (month, day, hour) = (1 + self.below(12), 1 + self.below(28), self.below(24));
        let (year, minute, second, offset) = (2020 + self.below(30), self.below(60), self.below(60), self.below(12));
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+{offset:02}:00")
    }

    /// RFC 3339 to the millisecond.
    fn date_with_milliseconds(&mut self) -> String {
        let millis = self.below(1_000);
        format!("{}.{millis:03}Z", &self.date()[..19])
    }

    fn phone(&mut self) -> String {
        let (country, area, line, subscriber) =
            (1 + self.below(99), 100 + self.below(900), self.below(1_000), self.below(10_000));
        format!("+{country} ({area}) {line:03}-{subscriber:04}")
    }

    fn invoice(&mut self) -> String {
        format!("INV-{}-{:06}", 2020 + self.below(30), self.below(1_000_000))
    }

    /// A day, a branch and a number without separators: 18 digits.
    fn long_number(&mut self) -> String {
        let (year, month, day) = (2020 + self.below(30), 1 + self.below(12), 1 + self.below(28));
        format!("{year}{month:02}{day:02}{:010}", self.below(10_000_000_000))
    }
}

/// A description of the samples, and the function that generates one.
type Kind = (&'static str, fn(&mut Random) -> String);

fn main() {
    let kinds: [Kind; 7] = [
        ("UUIDs", Random::uuid),
        ("ULIDs", Random::ulid),
        ("dates and times to the second with an offset", Random::date),
        ("dates and times to the millisecond", Random::date_with_milliseconds),
        ("phone numbers", Random::phone),
        ("invoice numbers such as INV-2026-004711", Random::invoice),
        ("numbers of 18 digits without separators", Random::long_number),
    ];
    for (name, make) in kinds {
        let mut random = Random(0);
        let example = make(&mut random);
        let found = (0..COUNT).filter(|_| card::is_in(&make(&mut random))).count();
        println!("{found:>7} of {COUNT} {name}, such as {example}");
    }
}
