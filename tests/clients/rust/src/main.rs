// SPDX-License-Identifier: Apache-2.0

//! Ask the AWS SDK for Rust for credentials, by its default chain; with --again once more for each line of the input.

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use std::io::BufRead;

fn version() -> &'static str {
    let mut lines = include_str!("../Cargo.lock").lines();
    lines.find(|line| *line == "name = \"aws-config\"");
    lines.next().and_then(|line| line.split('"').nth(1)).unwrap_or("?")
}

async fn ask(provider: &SharedCredentialsProvider) {
    match provider.provide_credentials().await {
        Ok(credentials) => println!("accessKeyId={}", credentials.access_key_id()),
        Err(error) => {
            println!("none: {error:?}");
            std::process::exit(1);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let option = std::env::args().nth(1).unwrap_or_default();
    if option == "--version" {
        println!("{}", version());
        return;
    }
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    let Some(provider) = config.credentials_provider() else {
        println!("none: no provider");
        std::process::exit(1);
    };
    ask(&provider).await;
    if option == "--again" {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() {
                break;
            }
            ask(&provider).await;
        }
    }
}
