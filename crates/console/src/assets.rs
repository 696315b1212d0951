//! Style, scripts and icon: in the binary, each under a name that holds a hash of what it is, so that
//! browsers keep it for as long as it is the same.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::Console;

/// Where pages find them.
pub struct Assets {
    pub style: String,
    pub theme: String,
    pub script: String,
    pub icon: String,
}

struct File {
    path: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

static FILES: LazyLock<[File; 4]> = LazyLock::new(|| {
    [
        file("console.css", "text/css; charset=utf-8", include_bytes!("../assets/console.css")),
        file("theme.js", "text/javascript; charset=utf-8", include_bytes!("../assets/theme.js")),
        file(
            "console.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/console.js"),
        ),
        file("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

/// Where they are.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let [style, theme, script, icon] = FILES.each_ref().map(|file| file.path.clone());
    Assets { style, theme, script, icon }
});

fn file(name: &str, media_type: &'static str, bytes: &'static [u8]) -> File {
    let hash = hex::encode(Sha256::digest(bytes));
    let hash = hash.get(..12).unwrap_or_default();
    File { path: format!("/assets/{hash}/{name}"), media_type, bytes }
}

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/assets/{hash}/{name}", get(asset))
}

async fn asset(Path((hash, name)): Path<(String, String)>) -> Response {
    let path = format!("/assets/{hash}/{name}");
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = file.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, for_ever);
    response
}
