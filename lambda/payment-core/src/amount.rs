//! Money: a decimal number and its currency.

use std::fmt;

use rust_decimal::Decimal;

/// The maximum number of digits before the decimal point.
pub const LONGEST_WHOLE: usize = 12;

/// An amount of money, greater than zero, with as many decimals as its currency has: `12.50`.
///
/// It is never a binary floating-point number, neither in requests nor internally (P-09).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(Decimal);

/// An ISO 4217 currency that can be used for payments: no funds, precious metals or test codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    code: iso_currency::Currency,
    decimals: u32,
}

impl Amount {
    /// Parses an amount: digits, and decimals after a point.
    ///
    /// # Errors
    /// The requirement that the text does not meet, phrased to follow the field's name.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, String> {
        let number = || "must be a decimal number such as 12.50, without exponent or sign".to_owned();
        if text.starts_with('-') {
            return Err("must be greater than zero".to_owned());
        }
        let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let leading = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || leading || decimals.is_some_and(|decimals| !digits(decimals)) {
            return Err(number());
        }
        if whole.len() > LONGEST_WHOLE {
            return Err(format!("must have at most {LONGEST_WHOLE} digits before the point"));
        }
        let most = currency.decimals();
        if decimals.is_some_and(|decimals| decimals.len() > most as usize) {
            return Err(format!("must have at most {most} decimals in {currency}"));
        }
        let mut amount = Decimal::from_str_exact(text).map_err(|_| number())?;
        if amount.is_zero() {
            return Err("must be greater than zero".to_owned());
        }
        // Normalizes 12.5 to 12.50, so that equal amounts are written the same.
        amount.rescale(most);
        Ok(Self(amount))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Currency {
    /// The default currency.
    pub const DEFAULT: Self = Self { code: iso_currency::Currency::USD, decimals: 2 };

    /// Parses a currency code, three capital letters.
    ///
    /// # Errors
    /// The requirement that the text does not meet, phrased to follow the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = iso_currency::Currency::from_code(text).filter(|code| !code.is_fund() && !code.is_special());
        let known = known.and_then(|code| Some(Self { code, decimals: code.exponent()?.into() }));
        known.ok_or_else(|| "must be an ISO 4217 code such as USD".to_owned())
    }

    /// The number of decimals of amounts in this currency.
    #[must_use]
    pub fn decimals(self) -> u32 {
        self.decimals
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From ISO 4217, list one (2024): the number of decimals of currencies whose number is not two.
    #[test]
    fn currencies_have_the_decimals_of_the_standard() {
        let none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
        let three = "BHD IQD JOD KWD LYD OMR TND";
        let two = "USD EUR GBP CHF CNY INR BRL MXN AUD CAD SEK NOK DKK PLN CZK HUF ZAR TRY AED SAR SGD HKD THB";
        for (decimals, codes) in [(0, none), (2, two), (3, three)] {
            for code in codes.split(' ') {
                assert_eq!(Currency::parse(code).map(Currency::decimals), Ok(decimals), "{code}");
            }
        }
    }

    fn amount(text: &str, currency: &str) -> Result<String, String> {
        Amount::parse(text, Currency::parse(currency)?).map(|amount| amount.to_string())
    }

    #[test]
    fn p09_amounts_are_decimal_and_have_one_form() {
        for (text, currency, expected) in [
            ("12.50", "USD", "12.50"),
            ("12.5", "USD", "12.50"),
            ("12", "USD", "12.00"),
            ("0.01", "EUR", "0.01"),
            ("0.1", "EUR", "0.10"),
            ("1200", "JPY", "1200"),
            ("1.234", "KWD", "1.234"),
            ("999999999999.99", "USD", "999999999999.99"),
        ] {
            assert_eq!(amount(text, currency).as_deref(), Ok(expected), "{text} {currency}");
        }
    }

    #[test]
    fn p09_what_is_no_amount_is_refused_with_the_reason() {
        let number = "must be a decimal number such as 12.50, without exponent or sign";
        for (text, currency, reason) in [
            ("", "USD", number),
            (".", "USD", number),
            ("1.", "USD", number),
            (".5", "USD", number),
            ("1e3", "USD", number),
            ("+1", "USD", number),
            ("1,50", "USD", number),
            ("01", "USD", number),
            (" 1", "USD", number),
            ("1_000", "USD", number),
            ("NaN", "USD", number),
            ("٣", "USD", number),
            ("-1", "USD", "must be greater than zero"),
            ("0", "USD", "must be greater than zero"),
            ("0.00", "USD", "must be greater than zero"),
            ("1.005", "USD", "must have at most 2 decimals in USD"),
            ("1.5", "JPY", "must have at most 0 decimals in JPY"),
            ("1000000000000", "USD", "must have at most 12 digits before the point"),
            ("1", "usd", "must be an ISO 4217 code such as USD"),
            ("1", "US", "must be an ISO 4217 code such as USD"),
            ("1", "ABC", "must be an ISO 4217 code such as USD"),
            ("1", "XTS", "must be an ISO 4217 code such as USD"),
            ("1", "XXX", "must be an ISO 4217 code such as USD"),
            ("1", "XAU", "must be an ISO 4217 code such as USD"),
            ("1", "BOV", "must be an ISO 4217 code such as USD"),
            ("1", "DEM", "must be an ISO 4217 code such as USD"),
        ] {
            assert_eq!(amount(text, currency), Err(reason.to_owned()), "{text:?} {currency}");
        }
    }
}
