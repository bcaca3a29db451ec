//! Where the records a rule is written for come from, and whether Keywatch reads them.

use keywatch_event::Provider;

/// Sigma's `logsource`: product, service and category, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSource {
    product: String,
    service: String,
    category: String,
}

/// What a log source is to Keywatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Normalised events of every provider.
    Keywatch,
    /// Records of one provider; field names are paths in them.
    Of(Provider),
    /// Records nobody brings here.
    Elsewhere,
}

impl LogSource {
    /// Reads the three words of a rule. A rule that names none is about Keywatch's own events.
    #[must_use]
    pub fn parse(product: Option<&str>, service: Option<&str>, category: Option<&str>) -> Self {
        let word = |word: Option<&str>| word.unwrap_or_default().trim().to_lowercase();
        Self { product: word(product), service: word(service), category: word(category) }
    }

    /// Whether records of this source can reach a running Keywatch.
    #[must_use]
    pub fn ingested(&self) -> bool {
        self.origin() != Origin::Elsewhere
    }

    /// The provider whose records these are; `None` for every provider's, or nobody's.
    #[must_use]
    pub fn provider(&self) -> Option<Provider> {
        match self.origin() {
            Origin::Of(provider) => Some(provider),
            Origin::Keywatch | Origin::Elsewhere => None,
        }
    }

    /// Whether a rule of `other` is about records of this source: a word left out means any
    /// (Sigma filters specification, "Log source").
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let words = [(&self.product, &other.product), (&self.service, &other.service)];
        let mut words = words.into_iter().chain([(&self.category, &other.category)]);
        words.all(|(own, other)| own.is_empty() || own == other)
    }

    /// Why a rule of this source never finds anything here; `None` when it can.
    #[must_use]
    pub fn blindness(&self) -> Option<String> {
        (!self.ingested()).then(|| format!("Keywatch does not ingest {}", self.name()))
    }

    /// The source in one word: `aws/cloudtrail`.
    #[must_use]
    pub fn name(&self) -> String {
        let words = [&self.product, &self.category, &self.service];
        let said: Vec<&str> = words.into_iter().map(String::as_str).filter(|w| !w.is_empty()).collect();
        if said.is_empty() { "keywatch".to_owned() } else { said.join("/") }
    }

    /// Names as in Sigma's taxonomy, appendix "Log sources".
    pub(crate) fn origin(&self) -> Origin {
        match (&*self.product, &*self.service, &*self.category) {
            ("keywatch", _, _) | ("", "", "") => Origin::Keywatch,
            ("aws", "cloudtrail" | "", "") => Origin::Of(Provider::Aws),
            ("gcp", "gcp.audit" | "audit" | "", "") => Origin::Of(Provider::Gcp),
            ("azure", "activitylogs" | "keyvault" | "", "") => Origin::Of(Provider::Azure),
            ("vault" | "hashicorp" | "openbao", "audit" | "vault" | "", "")
            | ("vault" | "hashicorp" | "openbao", "", "audit") => Origin::Of(Provider::Vault),
            _ => Origin::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(product: &str, service: &str, want: Origin, blind: Option<&str>) {
        let source = LogSource::parse(Some(product), (!service.is_empty()).then_some(service), None);
        assert_eq!((source.origin(), source.blindness().as_deref()), (want, blind), "{product}/{service}");
    }

    #[test]
    fn a_source_nobody_brings_is_named_as_the_reason() {
        check("keywatch", "", Origin::Keywatch, None);
        check("AWS", "CloudTrail", Origin::Of(Provider::Aws), None);
        check("gcp", "gcp.audit", Origin::Of(Provider::Gcp), None);
        check("azure", "activitylogs", Origin::Of(Provider::Azure), None);
        check("hashicorp", "audit", Origin::Of(Provider::Vault), None);
        let not = |name| Some(name);
        check("azure", "signinlogs", Origin::Elsewhere, not("Keywatch does not ingest azure/signinlogs"));
        check(
            "gcp",
            "google_workspace.admin",
            Origin::Elsewhere,
            not("Keywatch does not ingest gcp/google_workspace.admin"),
        );
        check("windows", "", Origin::Elsewhere, not("Keywatch does not ingest windows"));
    }

    #[test]
    fn a_rule_without_a_source_is_about_keywatchs_own_events() {
        assert_eq!(LogSource::default().origin(), Origin::Keywatch);
        assert!(LogSource::default().ingested());
    }
}
