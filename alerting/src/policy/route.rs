//! Routes: which receivers are told of which alerts.
//!
//! Routes are walked in order. One that fits names receivers and ends the walk, unless it says to
//! go on. When none fits, the receivers of last resort are told. A receiver's own `level` always
//! holds. Without any route, every receiver is told by its level alone.

use super::calendar::Hours;
use chrono::{DateTime, Utc};
use keywatch_event::{AlertField, Level, Matcher, Subject};
use keywatch_store::{Gathering, Routed, Routing, Subscriber};
use std::time::Duration;

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name, for reasons.
    pub name: String,
    /// Which alerts: all of these hold. Without any: every alert.
    pub matchers: Vec<Matcher>,
    /// From which level on.
    pub level_min: Level,
    /// During which hours.
    pub hours: Vec<Hours>,
    /// Who is told. Nobody, when it is empty: the alerts are only shown.
    pub receivers: Vec<String>,
    /// How alerts are gathered into one message; each by itself without.
    pub grouping: Option<Grouping>,
    /// Whether later routes are asked too.
    pub goes_on: bool,
}

/// How alerts are gathered into one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// What the alerts of one message have in common.
    pub by: Vec<AlertField>,
    /// How long the first of them waits for others.
    pub wait: Duration,
    /// Least time between two messages of a group.
    pub interval: Duration,
}

/// Every route, and who there is to be told.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every receiver with the least urgent level it wants.
    pub receivers: Vec<Subscriber>,
    /// Routes, in order.
    pub routes: Vec<Route>,
    /// Who is told when no route fits; everybody, when it is `None`.
    pub otherwise: Option<Vec<String>>,
    /// How alerts are gathered where a route does not say.
    pub grouping: Option<Grouping>,
}

impl Route {
    fn fits(&self, subject: &Subject, at: DateTime<Utc>) -> bool {
        self.level_min <= subject.level
            && (self.hours.is_empty() || self.hours.iter().any(|hours| hours.contains(at)))
            && self.matchers.iter().all(|matcher| matcher.matches(subject))
    }
}

impl Grouping {
    fn of(&self, subject: &Subject) -> Gathering {
        let label = |field: &AlertField| {
            let values = subject.values(*field);
            format!(
                "{}={}",
                field.as_str(),
                if values.is_empty() { "none".to_owned() } else { values.join(" ") }
            )
        };
        let key = self.by.iter().map(label).collect::<Vec<_>>().join(", ");
        let secs = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let key = if key.is_empty() { "everything".to_owned() } else { key };
        Gathering { key, wait_secs: secs(self.wait), interval_secs: secs(self.interval) }
    }
}

impl Plan {
    /// Everybody is told by level alone.
    #[must_use]
    pub fn by_level(receivers: Vec<Subscriber>) -> Self {
        Self { receivers, ..Self::default() }
    }

    /// The first route that names each receiver, and every route that fitted.
    fn walk(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<&Route> {
        let mut fitting = Vec::new();
        for route in &self.routes {
            if route.fits(subject, at) {
                fitting.push(route);
                if !route.goes_on {
                    break;
                }
            }
        }
        fitting
    }

    fn routed(&self, receiver: &Subscriber, fitting: &[&Route], subject: &Subject) -> Routed {
        let named = fitting.iter().find(|route| route.receivers.contains(&receiver.name));
        let fitted: Vec<_> = fitting.iter().map(|route| format!("`{}`", route.name)).collect();
        let found = match (named, fitted.as_slice()) {
            (Some(route), _) => Ok(Some(*route)),
            (None, []) => self.last_resort(&receiver.name).map(|()| None),
            (None, [one]) => Err(format!("route {one} decides, and does not name it")),
            (None, several) => Err(format!("routes {} decide, and do not name it", several.join(", "))),
        };
        let by_level = receiver.routed(subject.level);
        match found {
            Err(reason) => Routed { told: false, reason, ..by_level },
            Ok(route) => {
                let grouping = route.and_then(|route| route.grouping.as_ref()).or(self.grouping.as_ref());
                let group = grouping.filter(|_| by_level.told).map(|grouping| grouping.of(subject));
                let reason = match (route, by_level.told) {
                    (Some(route), true) => format!("route `{}` names it", route.name),
                    (Some(route), false) => {
                        format!("route `{}` names it, but {}", route.name, by_level.reason)
                    }
                    (None, _) if self.routes.is_empty() => by_level.reason.clone(),
                    (None, _) => format!("no route fits, and {}", by_level.reason),
                };
                Routed { reason, group, ..by_level }
            }
        }
    }

    fn last_resort(&self, name: &str) -> Result<(), String> {
        match &self.otherwise {
            Some(names) if !names.iter().any(|known| known == name) => {
                Err("no route fits, and it is not told then".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Routing for Plan {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        let fitting = self.walk(subject, at);
        self.receivers.iter().map(|receiver| self.routed(receiver, &fitting, subject)).collect()
    }

    fn knows(&self, receiver: &str) -> bool {
        self.receivers.iter().any(|known| known.name == receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::matchers_from;

    fn subject(rule: &str, level: Level) -> Subject {
        let json = format!(
            r#"{{"rule":"{rule}","level":"{level}","provider":"aws","account":"111122223333",
                "store":"sm","principal":{{"id":"role/app"}},"tags":["attack.t1555"]}}"#
        );
        Subject::from_json(&json)
    }

    fn route(name: &str, matchers: &str, receivers: &[&str]) -> Route {
        Route {
            name: name.to_owned(),
            matchers: matchers_from(matchers).unwrap(),
            level_min: Level::Info,
            hours: vec![],
            receivers: receivers.iter().map(|name| (*name).to_owned()).collect(),
            grouping: None,
            goes_on: false,
        }
    }

    fn plan(routes: Vec<Route>) -> Plan {
        let receivers = ["chat", "pager", "siem"].map(|name| Subscriber::new(name, Level::Warning));
        Plan { receivers: receivers.into(), routes, otherwise: None, grouping: None }
    }

    /// A Friday afternoon.
    fn friday() -> DateTime<Utc> {
        "2026-11-27T15:00:00Z".parse().unwrap()
    }

    #[track_caller]
    fn check(plan: &Plan, subject: &Subject, want: &[&str]) {
        let told = plan.routes(subject, friday());
        let names: Vec<&str> = told.iter().filter(|one| one.told).map(|one| one.receiver.as_str()).collect();
        assert_eq!(names, want, "{told:#?}");
        assert_eq!(told.len(), plan.receivers.len(), "everybody gets an answer");
        assert!(told.iter().all(|one| !one.reason.is_empty()));
    }

    #[test]
    fn without_routes_everybody_is_told_by_level() {
        check(&plan(vec![]), &subject("KW-002", Level::High), &["chat", "pager", "siem"]);
        check(&plan(vec![]), &subject("KW-001", Level::Info), &[]);
    }

    #[test]
    fn the_first_route_that_fits_decides_unless_it_goes_on() {
        let logs = Route { goes_on: true, ..route("logs", "", &["siem"]) };
        let plan =
            plan(vec![logs, route("deletions", "rule=KW-004", &["pager"]), route("rest", "", &["chat"])]);
        check(&plan, &subject("KW-004", Level::Critical), &["pager", "siem"]);
        check(&plan, &subject("KW-002", Level::Warning), &["chat", "siem"]);
    }

    #[test]
    fn every_field_can_be_asked() {
        for matcher in [
            "rule=KW-002",
            "level=high",
            "provider=aws",
            "store=sm",
            "account=1111*",
            "tag=attack.*",
            "principal=role/*",
        ] {
            let plan = plan(vec![route("it", matcher, &["pager"]), route("rest", "", &["chat"])]);
            check(&plan, &subject("KW-002", Level::High), &["pager"]);
        }
    }

    #[test]
    fn a_route_may_hold_for_certain_hours_and_levels_only() {
        let duty = Route {
            hours: vec!["mon-fri 08:00-18:00 Europe/Berlin".parse().unwrap()],
            ..route("duty", "", &["chat"])
        };
        let night = Route { level_min: Level::Critical, ..route("night", "", &["pager"]) };
        let mut plan = plan(vec![duty, night]);
        plan.otherwise = Some(vec!["siem".to_owned()]);
        check(&plan, &subject("KW-002", Level::High), &["chat"]);
        let saturday = friday() + chrono::TimeDelta::days(1);
        let told = |level| {
            let routed = plan.routes(&subject("KW-002", level), saturday);
            routed.into_iter().filter(|one| one.told).map(|one| one.receiver).collect::<Vec<_>>()
        };
        assert_eq!(told(Level::Critical), ["pager"]);
        assert_eq!(told(Level::High), ["siem"], "no route fits");
    }

    #[test]
    fn a_receivers_own_level_holds_whatever_a_route_says() {
        let mut plan = plan(vec![route("all", "", &["pager", "chat"])]);
        plan.receivers[1].level_min = Level::Critical;
        check(&plan, &subject("KW-002", Level::High), &["chat"]);
        let pager = plan.routes(&subject("KW-002", Level::High), friday()).remove(1);
        assert_eq!(
            pager.reason,
            "route `all` names it, but high is below critical, from which on it is told"
        );
    }

    #[test]
    fn alerts_are_gathered_by_what_the_route_says() {
        let by = vec![AlertField::Rule, AlertField::Account, AlertField::Source];
        let (wait, interval) = (Duration::from_secs(30), Duration::from_mins(5));
        let grouped = Route { grouping: Some(Grouping { by, wait, interval }), ..route("g", "", &["chat"]) };
        let chat = plan(vec![grouped]).routes(&subject("KW-002", Level::High), friday()).remove(0);
        let group = chat.group.unwrap();
        assert_eq!(group.key, "rule=KW-002, account=111122223333, source=none");
        assert_eq!((group.wait_secs, group.interval_secs), (30, 300));
    }
}
