//! Parts of a log, and waiting for more of it.

use std::time::{Duration, Instant};

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::LogPage;
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::statement::{Body, Pause, Resume};
use glovebox_room::Home;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_comes_in_parts_with_a_checkpoint_of_all_of_it() {
    let world = World::start().await;
    let room = world.ready().await;
    let airline = world.party("airline");
    let whole = airline.log(&room).await;
    let target = path::room(&room, RoomPart::Log);
    let mut entries = Vec::new();
    while (entries.len() as u64) < whole.size {
        let from = entries.len();
        let page: LogPage = airline.get(&format!("{target}?from={from}&limit=2")).await.json(200);
        assert!((1..=2).contains(&page.entries.len()));
        assert_eq!((page.size, &page.checkpoint), (whole.size, &whole.checkpoint));
        entries.extend(page.entries);
    }
    assert_eq!(entries, whole.entries);
    let checkpoint = Checkpoint::verify(&whole.checkpoint, &room, &world.host_key).unwrap();
    assert_eq!(checkpoint.size(), whole.size);
    for from in [whole.size, whole.size + 1, u64::from(u32::MAX) << 20, u64::MAX] {
        let page: LogPage = airline.get(&format!("{target}?from={from}")).await.json(200);
        assert!(page.entries.is_empty());
        assert_eq!(page.size, whole.size);
    }
    for query in ["limit=0", "limit=1001", "wait_seconds=31", "from=-1", "from=x", "form=1"] {
        let answer = airline.get(&format!("{target}?{query}")).await;
        assert_eq!(answer.error(), "400 malformed", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_hears_of_what_comes() {
    let world = World::start().await;
    let room = world.room().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let target = format!("{}?from=2&wait_seconds=20", path::room(&room, RoomPart::Log));
    let began = Instant::now();
    let waiting = weather.get(&target);
    let act = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        airline.say(&room, Body::Pause(Pause { comment: String::new(), notebook: None })).await;
    };
    let (answer, ()) = tokio::join!(waiting, act);
    let page: LogPage = answer.json(200);
    assert_eq!((page.entries.len(), page.size), (1, 3));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    // Another process of the host appends.
    let target = format!("{}?from=3&wait_seconds=20", path::room(&room, RoomPart::Log));
    let began = Instant::now();
    let envelope = weather.statement(&room, Body::Resume(Resume { notebook: None })).await;
    let home = world.home.clone();
    let act = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut room = Home::open(&home).unwrap().room("lab").unwrap();
        room.submit(&envelope).unwrap();
    });
    let (answer, acted) = tokio::join!(weather.get(&target), act);
    acted.unwrap();
    assert_eq!(answer.json::<LogPage>(200).entries.len(), 1);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_in_vain_is_answered_in_time() {
    let mut world = World::start().await;
    let room = world.room().await;
    let log = path::room(&room, RoomPart::Log);
    let began = Instant::now();
    let answer = world.party("airline").get(&format!("{log}?from=2&wait_seconds=1")).await;
    assert!(answer.json::<LogPage>(200).entries.is_empty());
    assert!((900..4000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());

    // A host that stops keeps nobody waiting.
    let began = Instant::now();
    let request =
        world.party("airline").request("GET", &format!("{log}?from=2&wait_seconds=30"), vec![]);
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.stop().await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_of_other_processes_are_found() {
    let world = World::start().await;
    let airline = world.party("airline");
    let envelope = airline.creation(airline.document("made-elsewhere", &["airline"]));
    let home = world.home.clone();
    let made = tokio::task::spawn_blocking(move || {
        *Home::open(&home).unwrap().create_room(&envelope).unwrap().id()
    });
    let room = made.await.unwrap();
    assert_eq!(airline.log(&room).await.size, 1);
    assert!(airline.get(path::ROOMS).await.text().contains("made-elsewhere"));
}
