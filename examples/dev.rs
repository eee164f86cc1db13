use std::sync::Arc;
use coremux::base::*; use coremux::config::Config; use coremux::reactor::*; use coremux::stats::*;
fn main(){
  let config=Arc::new(Config::read(std::path::Path::new(&std::env::args().nth(1).unwrap())).unwrap());
  let shape=Shape{pools:config.pools.iter().map(|p|PoolShape{name:p.name.clone(),servers:p.servers.iter().map(|s|s.name.clone()).collect()}).collect()};
  let (_tx,inbox)=mailbox().unwrap(); let (outbox,mut rx)=mailbox().unwrap();
  let mut listeners=vec![];
  for (i,p) in config.pools.iter().enumerate(){ let b=listener::bind(p,1).unwrap(); for fd in b.sockets {listeners.push((PoolIdx(i as u16),fd));} }
  let w=spawn(WorkerSetup{idx:WorkerIdx(0),workers:1,core:None,listeners,config:config.clone(),stats:Arc::new(WorkerStats::new(&shape)),admission:Arc::new(Admission::new(&config)),inbox,outbox,seed:1}).unwrap();
  w.join().unwrap(); let mut v=vec![]; rx.take(&mut v); println!("{v:?}");
}
