//! The operators' command, as a program.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    exports_admin::run().await
}
