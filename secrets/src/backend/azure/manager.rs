//! Azure Resource Manager: what a subscription holds and how it is set up, read and never changed.
//!
//! Facts: <https://learn.microsoft.com/rest/api/gettingstarted/>.

use super::{Kept, identity, options, refusal};
use crate::backend::http::{Answer, Http, Reach};
use crate::backend::own::OwnCredentials;
use crate::failure::{Failure, code};
use crate::settings::{AzureSettings, is_private, shown};
use azure_core::credentials::TokenCredential;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

use super::transport::{Transport, as_https};

/// Most pages of a list that are read: a page of vaults has a hundred or more.
const PAGES_MAX: usize = 50;

/// The manager of one cloud.
pub(crate) struct ResourceManager {
    settings: AzureSettings,
    own: OwnCredentials,
    base: Url,
    login: Kept<Arc<Login>>,
}

struct Login {
    http: Http,
    credential: Arc<dyn TokenCredential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Value>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
}

impl ResourceManager {
    pub(in crate::backend) fn new(settings: AzureSettings, own: OwnCredentials, base: Url) -> Self {
        Self { settings, own, base, login: Kept::default() }
    }

    /// Everything in a list, page by page. `needs` is the action it takes.
    pub(crate) async fn list(
        &self,
        path: &str,
        api_version: &str,
        needs: &str,
    ) -> Result<Vec<Value>, Failure> {
        if !is_private(&self.base) {
            let detail = format!("{} would send a token in clear", shown(&self.base));
            return Err(Failure::unusable(detail, "write https"));
        }
        let mut url = self.base.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", api_version);
        let login = self.login.get_or_make(async || self.logged_in().await.map(Arc::new)).await?;
        let mut found = Vec::new();
        for _page in 0..PAGES_MAX {
            let answer = self.ask(&login, url, needs).await?;
            let page: Page = answer.json().ok_or_else(|| unread(&answer))?;
            found.extend(page.value);
            let Some(next) = page.next_link.filter(|link| !link.is_empty()) else { return Ok(found) };
            url = self.followed(&next)?;
        }
        Ok(found)
    }

    /// The next page, which lies where the first did: the token is shown to nobody else.
    fn followed(&self, link: &str) -> Result<Url, Failure> {
        let next = Url::parse(link).ok().filter(|next| next.origin() == self.base.origin());
        next.ok_or_else(|| {
            let remedy = "see whether the address is Azure Resource Manager's";
            Failure::unusable("the list goes on at another address", remedy)
        })
    }

    async fn logged_in(&self) -> Result<Login, Failure> {
        let reach =
            || Reach { ca_file: self.settings.ca_file.as_deref(), hosts: &self.settings.hosts, here: false };
        let transport = Arc::new(Transport::new(Http::new(reach())?, &self.settings));
        let credential = identity::of(&self.settings, &self.own, options(&transport)).await?;
        let here = self.base.scheme() == "http";
        Ok(Login { http: Http::new(Reach { here, ..reach() })?, credential })
    }

    async fn ask(&self, login: &Login, url: Url, needs: &str) -> Result<Answer, Failure> {
        let scope = format!("{}/.default", as_https(&self.base).trim_end_matches('/'));
        let token = login.credential.get_token(&[&scope], None).await;
        let token = token.map_err(|error| refusal::of_token(&error))?;
        let request = login.http.request(reqwest::Method::GET, url).bearer_auth(token.token.secret());
        let answer = login.http.send(request).await?;
        let said = answer.json::<Body>().map(|body| body.error.code).unwrap_or_default();
        let told = format!("Azure Resource Manager answered {} (status {})", code(&said), answer.status);
        match answer.status {
            200 => Ok(answer),
            401 | 403 => {
                Err(Failure::denied(told, format!("grant {needs} to the identity, as the role Reader does")))
            }
            404 => Err(Failure::missing(told, "see whether the subscription or vault is still there")),
            429 | 500..=599 => Err(Failure::unavailable(told, "ask again later")),
            _ => Err(Failure::unusable(told, "see whether the address is Azure Resource Manager's")),
        }
    }
}

fn unread(answer: &Answer) -> Failure {
    let detail =
        format!("Azure Resource Manager answered status {} with something that is no list", answer.status);
    Failure::unavailable(detail, "see whether the address is Azure Resource Manager's")
}
