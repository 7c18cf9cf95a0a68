//! What the control plane asks of this crate.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use glovebox_contract::reason::ReasonCode;
use glovebox_room::RoomError;
use glovebox_room::error::Result;
use glovebox_room::remote::{Broker, BrokeredTable, Location, OpenRemote, Origin, Serving};

use crate::error::Failure;
use crate::net::{Outbound, SourcePolicy};
use crate::runtime::Engine;
use crate::source::{OpenTable, Request};
use crate::table::{Opened, Shared};
use crate::{objects, postgres, server, sharing};

/// Opens and serves tables that are elsewhere.
pub struct SourceBroker {
    /// How far the operator, and a party over the network, may have it reach out. Kept, so that
    /// connections are.
    operator: Outbound,
    network: Outbound,
    /// Started when something is opened for the first time: most commands open nothing.
    engine: Mutex<Option<Arc<Engine>>>,
}

impl SourceBroker {
    /// A broker that lets parties over the network name the places of the public internet and those
    /// of `policy`.
    pub fn new(policy: SourcePolicy) -> Self {
        let policy = Arc::new(policy);
        Self {
            operator: Outbound::new(Origin::Operator, Arc::clone(&policy)),
            network: Outbound::new(Origin::Network, policy),
            engine: Mutex::new(None),
        }
    }

    fn engine(&self) -> Result<Arc<Engine>, Failure> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engine.as_ref() {
            return Ok(Arc::clone(engine));
        }
        Ok(Arc::clone(engine.insert(Arc::new(Engine::start()?))))
    }
}

impl Broker for SourceBroker {
    fn open(&self, open: OpenRemote<'_>) -> Result<Box<dyn BrokeredTable>> {
        let failed =
            |failure: Failure| failure.redacted(open.credential).into_room_error(open.table);
        let engine = self.engine().map_err(failed)?;
        let request = Request {
            format: open.remote.format,
            partitions: open.remote.partitions.clone(),
            credential: open.credential.cloned(),
            outbound: match open.origin {
                Origin::Operator => self.operator.clone(),
                Origin::Network => self.network.clone(),
            },
            deadline: open.deadline,
        };
        let location = open.remote.location.clone();
        let found = engine.wait(Some(open.deadline), open_source(request, location));
        let shared = Shared {
            table: open.table.clone(),
            open: found.map_err(failed)?,
            credential: open.credential.cloned(),
        };
        Ok(Box::new(Opened { shared: Arc::new(shared), engine }))
    }

    fn serve(
        &self,
        tables: Vec<Box<dyn BrokeredTable>>,
        sockets: Vec<UnixStream>,
    ) -> Result<Box<dyn Serving>> {
        let internal = |what: &str| RoomError::new(ReasonCode::Internal, what);
        let engine = self.engine().map_err(|failure| internal(&failure.detail))?;
        let tables = tables.into_iter().map(|table| {
            let opened = table.into_any().downcast::<Opened>();
            opened.map(|opened| opened.shared).map_err(|_| internal("a table of another broker"))
        });
        let tables = tables.collect::<Result<Vec<Arc<Shared>>>>()?;
        let served = server::serve(engine, tables, sockets);
        let served = served.map_err(|error| internal("cannot serve tables").because(error))?;
        Ok(Box::new(served))
    }
}

/// Opens a table by the kind of its place.
async fn open_source(request: Request, location: Location) -> Result<OpenTable, Failure> {
    match location {
        Location::Objects { url } => objects::open(&request, &url).await,
        Location::Shared { share, schema, table } => {
            sharing::open(&request, &share, &schema, &table).await
        }
        Location::Postgres { host, port, database, schema, table } => {
            let place = postgres::Place { host, port, database, schema, table };
            postgres::open(&request, &place).await
        }
    }
}
