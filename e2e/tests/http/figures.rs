//! What Prometheus is told of what the services work with.

use e2e::TestApp;

#[tokio::test]
async fn every_service_tells_how_many_database_connections_it_has() {
    let app = TestApp::start().await;
    let figures = app.context.metrics().render();
    for service in ["public-api", "internal-api", "dispatcher", "expiry-reaper"] {
        for name in ["database_connections", "database_connections_idle"] {
            let figure = format!("{name}{{service=\"{service}\"}} ");
            assert!(figures.contains(&figure), "{figure} is missing: {figures}");
        }
    }
    app.end().await;
}
