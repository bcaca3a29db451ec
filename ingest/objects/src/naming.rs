//! How the folders of days are called. Pure.

use chrono::NaiveDate;

/// Whose names objects have below their folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `y=2026/m=11/d=27/h=14/m=00/PT1H.json`: Azure Monitor's resource logs
    /// (learn.microsoft.com/azure/azure-monitor/essentials/resource-logs, "Send to Azure Storage").
    DiagnosticSetting,
    /// `2026/11/27/14:00:00_14:59:59_S0.json`: a log sink of Google Cloud
    /// (cloud.google.com/logging/docs/export/storage, "Entries in Cloud Storage").
    LogSink,
}

impl Naming {
    /// The year that a folder's name is, when it is one.
    pub(crate) fn is_year(self, name: &str) -> bool {
        let (year, _, _) = self.marks();
        name.strip_prefix(year).is_some_and(|rest| number(rest, 4).is_some())
    }

    /// What the names of a day's objects begin with, below their folder.
    pub(crate) fn day(self, day: NaiveDate) -> String {
        let (year, month, date) = self.marks();
        day.format(&format!("{year}%Y/{month}%m/{date}%d")).to_string()
    }

    /// The day of an object by its name below its folder; `None` when it lies in no day.
    pub(crate) fn day_of(self, name: &str) -> Option<NaiveDate> {
        let (year, month, date) = self.marks();
        let mut parts = name.splitn(4, '/');
        let year = number(parts.next()?.strip_prefix(year)?, 4)?;
        let month = number(parts.next()?.strip_prefix(month)?, 2)?;
        let date = number(parts.next()?.strip_prefix(date)?, 2)?;
        parts.next()?;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, date)
    }

    /// A year as people are told of it.
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::DiagnosticSetting => "y=2026",
            Self::LogSink => "2026",
        }
    }

    const fn marks(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::DiagnosticSetting => ("y=", "m=", "d="),
            Self::LogSink => ("", "", ""),
        }
    }
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(naming: Naming, name: &str, wanted: Option<&str>) {
        assert_eq!(naming.day_of(name).map(|day| day.to_string()).as_deref(), wanted, "{name}");
    }

    #[test]
    fn a_name_says_its_day_or_lies_in_none() {
        let (azure, google) = (Naming::DiagnosticSetting, Naming::LogSink);
        check(azure, "y=2026/m=11/d=27/h=14/m=00/PT1H.json", Some("2026-11-27"));
        check(azure, "y=2026/m=11/d=27", None);
        check(azure, "y=2026/m=13/d=27/x", None);
        check(azure, "2026/11/27/x", None);
        check(azure, "blobServices/default/y=2026/m=11/d=27/x", None);
        check(google, "2026/11/27/14:00:00_14:59:59_S0.json", Some("2026-11-27"));
        check(google, "2026/1/27/x", None);
        check(google, "copy/2026/11/27/x", None);
    }

    #[test]
    fn a_day_begins_as_the_names_of_its_objects_do() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 9).unwrap();
        for naming in [Naming::DiagnosticSetting, Naming::LogSink] {
            let name = format!("{}/x", naming.day(day));
            assert_eq!(naming.day_of(&name), Some(day));
            assert!(naming.is_year(name.split('/').next().unwrap()));
            assert!(naming.is_year(naming.example()) && !naming.is_year("202x") && !naming.is_year("y=26"));
        }
    }
}
