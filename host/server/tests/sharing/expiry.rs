//! What ends by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glovebox_room::clock::{Clock, SystemClock};

use super::{Client, TOKEN, error, output, table};
use crate::world::{World, now};

const DAY: u64 = 86_400;

/// The machine's clock, so many seconds ahead.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn unix_micros(&self) -> u64 {
        SystemClock.unix_micros() + self.0.load(Ordering::SeqCst) * 1_000_000
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_grants_urls_and_outputs_end() {
    let ahead = Ahead::default();
    let clock = ahead.clone();
    let world = World::start_with(move |config| config.clock = Arc::new(clock)).await;
    let (room, runs) = world.shared(1).await;
    world.grant(&room, "short", output(), Some(now() + 1800)).await;
    let client = Client::new(&world, &room, TOKEN);
    let short = table().replace("results", "short");
    let urls = [client.files(&table()).await.remove(0), client.files(&short).await.remove(0)];
    let get = async |url: &str| world.client.get(url).send().await.unwrap().status().as_u16();
    assert_eq!((get(&urls[0]).await, get(&urls[1]).await), (200, 200));

    ahead.0.store(1801, Ordering::SeqCst);
    assert_eq!((get(&urls[0]).await, get(&urls[1]).await), (200, 403));
    assert_eq!(error(&client.query(&short, "{}").await), "404 RESOURCE_DOES_NOT_EXIST");
    ahead.0.store(3601, Ordering::SeqCst);
    assert_eq!(get(&urls[0]).await, 403);
    let fresh = client.files(&table()).await.remove(0);
    assert_eq!(get(&fresh).await, 200);
    ahead.0.store(DAY + 1, Ordering::SeqCst);
    assert_eq!(error(&client.get("/shares").await), "401 UNAUTHENTICATED");
    assert_eq!(get(&fresh).await, 403);

    // A recipient that outlives the outputs finds them gone, in the table and on the disk.
    ahead.0.store(0, Ordering::SeqCst);
    let lasting = glovebox_contract::statement::Recipient {
        expires: now() + 100 * DAY,
        name: "acme".parse().unwrap(),
        previous_until: None,
        token: glovebox_contract::digest::Sha256Digest::of(b"lasting"),
    };
    let share = glovebox_contract::statement::Share::Recipient(lasting);
    world.party("weather").say(&room, glovebox_contract::statement::Body::Share(share)).await;
    let client = Client::new(&world, &room, "lasting");
    assert_eq!(client.files(&table()).await.len(), 1);
    let outputs =
        world.home.join("rooms").join(room.0.to_hex()).join("outputs").join(runs[0].to_string());
    assert!(outputs.exists());
    ahead.0.store(31 * DAY, Ordering::SeqCst);
    assert_eq!(error(&client.query(&table(), "{}").await), "404 RESOURCE_DOES_NOT_EXIST");
    let tables: serde_json::Value = client.get("/shares/results/all-tables").await.json(200);
    assert_eq!(tables["items"], serde_json::json!([]));
}
