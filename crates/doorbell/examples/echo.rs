//! An echo server, service and all: `cargo run --example echo -- select`.

use doorbell::{Model, Server};
use doorbell_service::{Conversation, Input, Peer, Reply, Service};
use std::time::Instant;

struct Echo;

impl Service for Echo {
    type Message = ();
    type Conversation = Echo;

    fn open(&self, _peer: &Peer) -> Echo {
        Echo
    }
}

impl Conversation<()> for Echo {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        if let Input::Received(bytes) = input {
            reply.send(bytes);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model: Model = std::env::args().nth(1).map_or(Ok(Model::default()), |name| name.parse())?;
    let server = Server::builder(Echo).model(model).listen("127.0.0.1:7007".parse()?).start()?;
    println!("listening on {} model={model}", server.addresses()[0]);
    server.wait()?;
    Ok(())
}
