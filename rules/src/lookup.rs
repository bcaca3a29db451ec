//! Autonomous system and country of an address, out of a MaxMind DB.
//!
//! Reads GeoLite2 and GeoIP2 (`autonomous_system_number`, `country.iso_code`) and IPinfo's
//! files of the same format (`asn`, `country_code`). The caller reads the file; an address the
//! database does not know, or an entry that cannot be read, answers nothing.

use maxminddb::Reader;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// An address database in memory.
#[derive(Clone)]
pub struct AddressData(Arc<Kept>);

enum Kept {
    File(Reader<Vec<u8>>),
    /// One answer for each address: what a rule's example says of its events.
    Table(BTreeMap<IpAddr, String>),
}

/// Bytes that are no MaxMind DB.
#[derive(Debug, thiserror::Error)]
#[error("the address data cannot be read as a MaxMind DB; use an unpacked .mmdb file")]
pub struct AddressDataError(#[source] maxminddb::MaxMindDbError);

/// The fields of an entry that are read; every other is skipped.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry<'d> {
    autonomous_system_number: Option<Number>,
    #[serde(borrow)]
    asn: Option<&'d str>,
    #[serde(borrow)]
    country: Option<Country<'d>>,
    #[serde(borrow)]
    country_code: Option<&'d str>,
}

/// A country is a map in MaxMind's files and a name in IPinfo's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Country<'d> {
    Coded {
        #[serde(borrow)]
        iso_code: Option<&'d str>,
    },
    Other(serde::de::IgnoredAny),
}

/// A number of any width. The format has a type for each (<https://maxmind.github.io/MaxMind-DB/>, "Output Data
/// Section"), and some writers take the narrowest that fits; the reader by itself takes none but the type asked for.
struct Number(u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyWidth)
    }
}

struct AnyWidth;

impl Visitor<'_> for AnyWidth {
    type Value = Number;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number of 32 bits")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        u32::try_from(number).map(Number).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        u32::try_from(number).map(Number).map_err(E::custom)
    }
}

impl AddressData {
    /// Takes a whole `.mmdb` file.
    ///
    /// # Errors
    /// [`AddressDataError`] when the bytes are none.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, AddressDataError> {
        Reader::from_source(bytes).map(|reader| Self(Arc::new(Kept::File(reader)))).map_err(AddressDataError)
    }

    /// A database of these answers; nothing when there are none.
    pub(crate) fn of_table(answers: BTreeMap<IpAddr, String>) -> Option<Self> {
        (!answers.is_empty()).then(|| Self(Arc::new(Kept::Table(answers))))
    }

    /// What the file calls itself: `GeoLite2-ASN`.
    #[must_use]
    pub fn database_type(&self) -> &str {
        match &*self.0 {
            Kept::File(reader) => &reader.metadata().database_type,
            Kept::Table(_) => "table",
        }
    }

    /// The number of the autonomous system, without `AS`.
    #[must_use]
    pub fn asn(&self, ip: IpAddr) -> Option<String> {
        if let Kept::Table(answers) = &*self.0 {
            return answers.get(&ip).cloned();
        }
        let entry = self.entry(ip)?;
        let named = || entry.asn?.strip_prefix("AS").map(str::to_owned);
        entry.autonomous_system_number.map(|Number(number)| number.to_string()).or_else(named)
    }

    /// The country, as two letters (ISO 3166-1).
    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<String> {
        if let Kept::Table(answers) = &*self.0 {
            return answers.get(&ip).cloned();
        }
        let entry = self.entry(ip)?;
        let coded = match entry.country {
            Some(Country::Coded { iso_code }) => iso_code,
            Some(Country::Other(_)) | None => None,
        };
        coded.or(entry.country_code).map(str::to_owned)
    }

    fn entry(&self, ip: IpAddr) -> Option<Entry<'_>> {
        match &*self.0 {
            Kept::File(reader) => reader.lookup(ip).ok()?.decode().ok()?,
            Kept::Table(_) => None,
        }
    }
}

impl fmt::Debug for AddressData {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("AddressData").field(&self.database_type()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mmdb;

    #[test]
    fn a_database_answers_for_the_addresses_it_knows() {
        let asn = AddressData::from_bytes(mmdb::asn([192, 0, 2], 64_500)).unwrap();
        assert_eq!(asn.asn("192.0.2.9".parse().unwrap()).as_deref(), Some("64500"));
        assert_eq!(asn.asn("198.51.100.9".parse().unwrap()), None);
        assert_eq!(asn.country("192.0.2.9".parse().unwrap()), None);
        let country = AddressData::from_bytes(mmdb::country([192, 0, 2], "NL")).unwrap();
        assert_eq!(country.country("192.0.2.9".parse().unwrap()).as_deref(), Some("NL"));
        assert_eq!(country.asn("192.0.2.9".parse().unwrap()), None);
    }

    #[test]
    fn a_number_may_be_written_in_any_width() {
        let ip = "192.0.2.9".parse().unwrap();
        for control in [&[0xa2][..], &[0xc4], &[0x04, 0x01], &[0x08, 0x02]] {
            let asn = AddressData::from_bytes(mmdb::asn_as([192, 0, 2], 16_509, control)).unwrap();
            assert_eq!(asn.asn(ip).as_deref(), Some("16509"), "{control:02x?}");
        }
    }

    #[test]
    fn other_bytes_are_refused_with_the_remedy() {
        let error = AddressData::from_bytes(b"PK\x03\x04 packed".to_vec()).unwrap_err();
        assert!(error.to_string().contains("unpacked .mmdb"), "{error}");
    }
}
