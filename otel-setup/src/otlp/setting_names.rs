//! The names of the settings in force, for advice about what to change.

use super::protocol::Protocol;
use super::settings::Options;
use super::signal_var::SignalVar;
use crate::env::Env;
use crate::signal::Signal;

/// The names of the endpoint and of the protocol, where they are set.
#[derive(Clone, Debug)]
pub(super) struct SettingNames {
    pub(super) endpoint: String,
    protocol: ProtocolName,
}

#[derive(Clone, Debug)]
enum ProtocolName {
    Program,
    Variable(String),
    /// The exporter in a configuration file, whose name is that of the protocol.
    Exporter(String),
}

impl SettingNames {
    pub(super) fn new(signal: Signal, options: &Options, env: &Env) -> Self {
        let in_force = |name| {
            let variable = SignalVar::new(signal, name);
            variable
                .text(env)
                .map_or(variable.general(), |(name, _)| name)
                .to_owned()
        };
        let setting = |name, is_in_code: bool| {
            let variable = in_force(name);
            let setting = env.setting(&variable).filter(|_| !is_in_code)?;
            Some((setting == variable, setting))
        };
        SettingNames {
            endpoint: match setting("ENDPOINT", options.endpoint.is_some()) {
                Some((_, setting)) => setting,
                None => "`otlp_endpoint`".to_owned(),
            },
            protocol: match setting("PROTOCOL", options.protocol.is_some()) {
                Some((true, variable)) => ProtocolName::Variable(variable),
                Some((false, place)) => ProtocolName::Exporter(place),
                None => ProtocolName::Program,
            },
        }
    }

    /// Returns advice to use a protocol, or the port of the other one.
    pub(super) fn use_protocol(&self, protocol: Protocol) -> String {
        let (endpoint, is_grpc) = (&self.endpoint, protocol == Protocol::Grpc);
        let port = if is_grpc {
            "port for HTTP, usually 4318"
        } else {
            "port for gRPC, usually 4317"
        };
        match &self.protocol {
            ProtocolName::Program => {
                format!("set `otlp_protocol` to Protocol::{protocol:?}, or {endpoint} to the {port}")
            }
            ProtocolName::Variable(name) => {
                let value = if is_grpc { "grpc" } else { "http/protobuf" };
                format!("set {name}={value}, or {endpoint} to the {port}")
            }
            ProtocolName::Exporter(place) => {
                let name = if is_grpc { "otlp_grpc" } else { "otlp_http" };
                format!("rename {place} to {name}, or set {endpoint} to the {port}")
            }
        }
    }
}

#[cfg(all(test, feature = "config-file"))]
mod tests {
    use super::*;
    use crate::env::EnvPairs;

    #[test]
    fn beside_a_configuration_file_settings_are_those_in_code() {
        let env = EnvPairs::default().into_env();
        let names = SettingNames::new(Signal::Traces, &Options::default(), &env);
        assert_eq!(
            names.use_protocol(Protocol::Grpc),
            "set `otlp_protocol` to Protocol::Grpc, or `otlp_endpoint` to the port for HTTP, usually 4318"
        );
    }
}
