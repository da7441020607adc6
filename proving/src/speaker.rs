//! One process of an agent: the chain that it writes, as it knows it itself.

use ledger::digest::{Digest, RecordHash};
use ledger::govern::Agent;
use ledger::key::PrivateKey;
use ledger::record::{Body, Chain, Heartbeat, Instance, Intent, Manifest, Phase, SignedRecord};
use ledger::text::Name;

use crate::keys::{instance, key};
use crate::{Log, record};

/// Who an agent is: its name, its key, the version that it runs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name.
    pub name: Name,
    /// The key that signs for it.
    pub key: PrivateKey,
    /// The hash of its manifest.
    pub manifest_hash: Digest,
}

/// One process of an agent. It signs what comes next in its chain, and takes the step once the log has the record.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// For whom it speaks.
    pub identity: Identity,
    /// Where its next record stands.
    pub chain: Chain,
    /// The agent's last record of any earlier epoch.
    pub before: Option<RecordHash>,
    /// The steps that it has made in this epoch.
    pub progress: u64,
}

impl Identity {
    /// Registers the first version of an agent, whose key follows from its name.
    ///
    /// # Panics
    /// If the log does not take the registration.
    pub fn registered(log: &mut Log, name: &str, now_ms: u64) -> Self {
        let name = record::name(name);
        let manifest = record::manifest(&name, "v1");
        let key = key(name.as_str());
        Self::registered_as(log, manifest, key, now_ms)
    }

    /// Registers a version of an agent.
    ///
    /// # Panics
    /// If the log does not take the registration.
    pub fn registered_as(log: &mut Log, manifest: Manifest, key: PrivateKey, now_ms: u64) -> Self {
        let name = manifest.agent.clone();
        let replaces = log.state().agent(&name).map(Agent::registration);
        let registration = record::registration(manifest, key.public(), replaces);
        let manifest_hash = registration.manifest_hash;
        let operator = log.keys().operator.clone();
        let body = Body::Manifest(Box::new(registration));
        let signed = log.sign(body, now_ms, &[&operator, &key]);
        log.submit(signed, now_ms)
            .expect("a registration by the rules");
        Self {
            name,
            key,
            manifest_hash,
        }
    }

    /// Grants the agent a lease from now on, and gives its hash.
    ///
    /// # Panics
    /// If the log does not take the lease.
    pub fn leased(&self, log: &mut Log, for_ms: u64, now_ms: u64) -> RecordHash {
        let lease = record::lease(&self.name, self.manifest_hash, now_ms, now_ms + for_ms);
        let operator = log.keys().operator.clone();
        let signed = log.sign(
            log.knowing(Body::Lease(Box::new(lease))),
            now_ms,
            &[&operator],
        );
        let hash = signed.hash();
        log.submit(signed, now_ms).expect("a lease by the rules");
        hash
    }
}

impl Speaker {
    /// The process that begins the epoch in force. Processes of different names are different instances.
    ///
    /// # Panics
    /// If the agent has had no epoch.
    pub fn beginning(identity: Identity, process: &str, log: &Log) -> Self {
        let agent = log
            .state()
            .agent(&identity.name)
            .expect("a registered agent");
        let opening = agent.opening().expect("an agent with an epoch");
        let epoch = agent.epoch();
        Self::at_start(identity, agent.last(), instance(process), epoch, opening)
    }

    /// The process that begins an agent's first epoch, which this lease has opened.
    pub fn first(identity: Identity, process: &str, lease: RecordHash) -> Self {
        Self::at_start(identity, None, instance(process), 1, lease)
    }

    /// The process by which an agent opens its next epoch itself, under the lease that it has.
    ///
    /// # Panics
    /// If the agent has had no lease.
    pub fn restarting(identity: Identity, process: &str, log: &Log) -> Self {
        let agent = log
            .state()
            .agent(&identity.name)
            .expect("a registered agent");
        let lease = agent.lease().expect("an agent with a lease");
        let epoch = agent.epoch() + 1;
        Self::at_start(identity, agent.last(), instance(process), epoch, lease)
    }

    fn at_start(
        identity: Identity,
        before: Option<RecordHash>,
        instance: Instance,
        epoch: u64,
        prev: RecordHash,
    ) -> Self {
        let agent = identity.name.clone();
        Self {
            identity,
            chain: Chain {
                agent,
                epoch,
                instance,
                seq: 0,
                prev,
            },
            before,
            progress: 0,
        }
    }

    /// Goes on in an epoch that a lease has opened meanwhile, as the same process.
    pub fn follow(&mut self, epoch: u64, lease: RecordHash, last: Option<RecordHash>) {
        self.chain.epoch = epoch;
        self.chain.seq = 0;
        self.chain.prev = lease;
        self.before = last;
        self.progress = 0;
    }

    /// The next heartbeat, with the progress made so far.
    pub fn heartbeat(&self) -> Heartbeat {
        record::heartbeat(
            self.chain.clone(),
            self.identity.manifest_hash,
            self.progress,
            self.before,
        )
    }

    /// Signs the next heartbeat.
    pub fn beat(&self, log: &Log, at_ms: u64) -> SignedRecord {
        self.sign(Body::Heartbeat(Box::new(self.heartbeat())), log, at_ms)
    }

    /// Signs the next step of work.
    pub fn receipt(&self, phase: Phase, log: &Log, at_ms: u64) -> SignedRecord {
        self.sign(record::receipt(self.chain.clone(), phase), log, at_ms)
    }

    /// Signs an intent as the next step.
    pub fn intent(&self, intent: Intent, log: &Log, at_ms: u64) -> SignedRecord {
        self.receipt(Phase::Intent(Box::new(intent)), log, at_ms)
    }

    /// Signs anything with the agent's key.
    pub fn sign(&self, body: Body, log: &Log, at_ms: u64) -> SignedRecord {
        log.sign(body, at_ms, &[&self.identity.key])
    }

    /// Takes the step to the record after this one.
    pub fn said(&mut self, record: &SignedRecord) {
        self.chain.seq += 1;
        self.chain.prev = record.hash();
    }
}
