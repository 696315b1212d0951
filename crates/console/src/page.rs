//! What stands around every page, and pages of errors.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use hookfleet_domain::TenantId;

use crate::api::Refusal;
use crate::assets::{ASSETS, Assets};

/// Which part of the console a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Overview,
    Tenants,
    Endpoints,
    Events,
    DeadLetters,
    Jobs,
    Tokens,
    Links,
    System,
}

/// What stands around a page.
pub struct Shell {
    /// The page's name.
    pub title: String,
    /// The links at its side.
    pub links: Vec<Link>,
    /// The links of the tenant that the page is about.
    pub tenant_links: Vec<Link>,
    /// That tenant.
    pub tenant: Option<TenantId>,
    /// Sees all tenants?
    pub is_operator: bool,
    /// A sentence about what was just done.
    pub notice: Option<&'static str>,
    /// Style and scripts.
    pub assets: &'static Assets,
}

/// A link at the side.
pub struct Link {
    pub href: String,
    pub text: &'static str,
    pub is_here: bool,
}

impl Shell {
    pub fn new(
        title: &str,
        section: Section,
        (is_operator, tenant): (bool, Option<TenantId>),
    ) -> Self {
        let link = |href: String, text, of: Section, is_here: bool| Link {
            href,
            text,
            is_here: is_here && of == section,
        };
        let fleet = |href: &str, text, of| link(href.to_owned(), text, of, tenant.is_none());
        let mut links = Vec::new();
        if is_operator {
            links = vec![
                fleet("/", "Overview", Section::Overview),
                fleet("/tenants", "Tenants", Section::Tenants),
                fleet("/dead-letters", "Dead letters", Section::DeadLetters),
                fleet("/jobs", "Jobs", Section::Jobs),
                fleet("/system", "System", Section::System),
            ];
        }
        let tenant_links = tenant.as_ref().map(|tenant| {
            let own =
                |path: &str, text, of| link(format!("/tenants/{tenant}{path}"), text, of, true);
            let letters = format!("/dead-letters?tenant={tenant}");
            let mut links = vec![
                own("", "Overview", Section::Overview),
                own("/endpoints", "Endpoints", Section::Endpoints),
                own("/events", "Events", Section::Events),
                link(letters, "Dead letters", Section::DeadLetters, true),
                own("/tokens", "Tokens", Section::Tokens),
                own("/links", "Console links", Section::Links),
            ];
            if !is_operator {
                links.insert(4, link("/jobs".to_owned(), "Jobs", Section::Jobs, true));
            }
            links
        });
        Self {
            title: title.to_owned(),
            links,
            tenant_links: tenant_links.unwrap_or_default(),
            tenant,
            is_operator,
            notice: None,
            assets: &ASSETS,
        }
    }

    /// Without what a visitor does not reach.
    #[must_use]
    pub fn of_visitor(mut self, is_visitor: bool) -> Self {
        let closed = |link: &Link| ["/tokens", "/links"].iter().any(|end| link.href.ends_with(end));
        self.tenant_links.retain(|link| !(is_visitor && closed(link)));
        self
    }

    /// With a sentence about what was just done, as a redirection named it.
    #[must_use]
    pub fn noticing(self, done: &str) -> Self {
        let notice = match done {
            "saved" => "Saved.",
            "on" => "The endpoint is switched on.",
            "off" => "The endpoint is switched off.",
            "deleted" => "The endpoint is deleted.",
            "resent" => "The event is on its way again.",
            "published" => "The event is published.",
            "revoked" => "The token is revoked.",
            _ => return self,
        };
        Self { notice: Some(notice), ..self }
    }
}

/// A page, or that it could not be made.
pub fn render(template: &impl Template) -> Response {
    render_as(StatusCode::OK, template)
}

/// The same, with a status.
pub fn render_as(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    assets: &'static Assets,
    title: &'a str,
    detail: &'a str,
}

/// A page that says what is wrong.
pub fn error(status: StatusCode, detail: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Nothing here",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Out of reach for the moment",
        _ => "That did not work",
    };
    render_as(status, &ErrorPage { assets: &ASSETS, title, detail })
}

/// There is no such page.
pub fn nowhere(path: &str) -> Response {
    error(StatusCode::NOT_FOUND, &format!("There is nothing at {path}."))
}

/// A refusal that no form of the page is to blame for.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status == StatusCode::UNAUTHORIZED {
            // The token was revoked since: the session is worth nothing any more.
            return axum::response::Redirect::to("/sign-in?ended=1").into_response();
        }
        error(self.status, &self.detail)
    }
}
