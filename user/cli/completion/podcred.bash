# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of podcred(8) for bash. tests/e2e/05-docs.sh compares it with podcred --help.

_podcred() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} options
  local commands='load unload run resolve serve fetch broker issuer control status trace metrics pods peers flows targets ready host features
    explain doctor association associate-service-account-role migrate trust-policy check-config version help'
  local place='--config --agent --cgroup --kubepods --create --force --agent-cgroup --pin-dir'
  local log='--log-json --debug'

  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
    return
  fi
  case $prev in
  --config | --pods | --kubeconfig | --associations | --token-key | --jwks | --metrics | --node-metrics | --certificate | --key | --sealing-keys | --fetch-socket | --socket | --convert | --file)
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
    ;;
  --cgroup | --kubepods | --agent-cgroup | --pin-dir | --root | --dir)
    mapfile -t COMPREPLY < <(compgen -d -- "$cur")
    return
    ;;
  --user | --fetch-user)
    mapfile -t COMPREPLY < <(compgen -u -- "$cur")
    return
    ;;
  --agent | --listen | --health | --pod-uid | --without | --context | --node | --count | --pod | --to | --protocol | --service-account | --principal | --issuer) return ;;
  --session-name)
    mapfile -t COMPREPLY < <(compgen -W 'pod serviceAccount eks' -- "$cur")
    return
    ;;
  --cluster-name | --namespace | --association-id | --resource-arn | --role-arn | --target-role-arn | --external-id | --policy | --base-role-arn | --duration-seconds | --tags | --tag-keys) return ;;
  --source)
    mapfile -t COMPREPLY < <(compgen -W 'sts webIdentity issuer eksAuth' -- "$cur")
    return
    ;;
  esac
  case ${COMP_WORDS[1]} in
  load) options="$place --without --take-over --if-needed --token-key --verbose --json" ;;
  unload) options='--others --wait --kubepods --pin-dir --json' ;;
  run) options="$place --without --pods --kubeconfig --context --node --metrics --associations --user --fetch-user --token-key --require-authorization --keep --verbose $log" ;;
  resolve) options="--config --pods --kubeconfig --context --node --metrics --kubepods --fetch-socket --standby --conflict-seconds --pin-dir $log" ;;
  serve) options="--config --agent --metrics-address --associations --node-metrics --user --token-key --fetch-socket --fetch-user --pod-uid --handover --require-authorization --jwks $log" ;;
  fetch) options="--socket --config --associations --kubeconfig --context --node --user $log" ;;
  broker) options="--config --listen --health --certificate --key --sealing-keys --insecure --kubeconfig --context --user $log" ;;
  issuer) options='--config --output' ;;
  control) options="--config --listen --health --certificate --key --certificates --server-name --broker-certificates --sealing-keys --kubeconfig --context --user $log" ;;
  status) options='--kubepods --json --pin-dir' ;;
  pods | peers | flows | targets) options='--json --pin-dir' ;;
  explain) options='--pod --to --protocol --associations --config --kubeconfig --context --json --pin-dir' ;;
  doctor) options='--no-probe --kubepods --json --pin-dir' ;;
  trace) options='--allowed --count --json --pin-dir' ;;
  metrics) options='--pin-dir' ;;
  ready) options='--config --agent --pod-uid --resolver --pin-dir --json' ;;
  host) options='--root --dir --config --agent --cgroup --kubepods --agent-cgroup --pin-dir --without --best-effort --json' ;;
  features) options='--json' ;;
  association | associate-service-account-role) options='--cluster-name --namespace --service-account --association-id --resource-arn --role-arn --target-role-arn --external-id --policy --disable-session-tags --no-disable-session-tags --duration-seconds --session-name --tags --tag-keys --kubeconfig --context --file --discard-comments --config' ;;
  migrate) options='--kubeconfig --context --namespace --config --base-role-arn' ;;
  trust-policy) options='--config --associations --kubeconfig --context --service-account --source --principal --issuer --convert' ;;
  check-config) options='--associations' ;;
  version) options= ;;
  *) return ;;
  esac
  if [ "${COMP_WORDS[1]}" = check-config ] && [[ $cur != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
  fi
  [ "${COMP_WORDS[1]}" != association ] || [[ $cur == -* ]] || options='create list describe update delete tag untag list-tags'
  [ "${COMP_WORDS[1]}" != host ] || [[ $cur == -* ]] || options='install uninstall status'
  mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur")
}

complete -o filenames -F _podcred podcred
