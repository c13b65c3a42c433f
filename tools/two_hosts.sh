# Two network namespaces with host names of their own, which stand in for two machines: sourced by tests/cli/mpi_hosts.sh and bench/mpi.sh.
# two_hosts_begin FOLDER [RATE]: RATE, such as 1gbit, slows the line between them. Fails with a message where that is not allowed. Gives
#   near, far   the names of the namespaces, which are the host names too
#   near_at, far_at   their addresses
#   machines    a command: mpirun on the near machine, which starts ranks on both; --host and -n are to be given
# two_hosts_end: ends what runs in them.
two_hosts_begin() {
  near=rapt$$a far=rapt$$b near_at=10.231.7.1 far_at=10.231.7.2
  local tool n
  for tool in ip unshare; do command -v $tool >/dev/null || { echo "no $tool (iproute2, util-linux)"; return 1; }; done
  ip netns add $near && ip netns add $far && ip link add v$near type veth peer name v$far && ip link set v$near netns $near && ip link set v$far netns $far &&
    ip -n $near addr add $near_at/24 dev v$near && ip -n $far addr add $far_at/24 dev v$far || return 1
  for n in $near $far; do
    ip -n $n link set lo up
    ip -n $n link set v$n up
    if [ -n "${2:-}" ]; then ip netns exec $n tc qdisc add dev v$n root tbf rate "$2" burst 256kb latency 50ms || return 1; fi
  done
  # In place of ssh: AGENT HOST COMMAND...
  printf '#!/bin/sh\nshift\nexec ip netns exec %s unshare --uts sh -c "hostname %s; $*"\n' $far $far >"$1/agent"
  chmod +x "$1/agent"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  machines=(ip netns exec $near unshare --uts sh -c 'hostname $0; exec "$@"' $near mpirun --oversubscribe --mca plm_rsh_agent "$1/agent"
    --mca btl_tcp_if_include 10.231.7.0/24 --mca oob_tcp_if_include 10.231.7.0/24 --mca btl tcp,self)
}
two_hosts_end() {
  local n p
  for n in $near $far; do
    for p in $(ip netns pids $n 2>/dev/null); do kill -KILL "$p" 2>/dev/null || true; done
    ip netns del $n 2>/dev/null || true
  done
}
