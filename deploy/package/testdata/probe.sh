# Looks at a machine that has booted (boot.sh) from inside, and writes what it finds to /run/out/found: name, tab, value. It waits for
# conditions; boot.sh bounds the whole.
exec >/run/out/found 2>/run/out/errors
trap 'journalctl --no-pager -o cat >/run/out/journal; echo end; systemctl --force poweroff' EXIT
say() { printf '%s\t%s\n' "$1" "$(tr '\n' ' ' <<<"$2" | sed 's/ *$//')"; }
show() { systemctl show -p "$2" --value "$1"; }
feed=tickwire-feed@f serve=tickwire-serve join=tickwire-consolidate

for unit in $feed $serve $join; do
	pid=$(show $unit MainPID)
	say $unit.state "$(show $unit ActiveState)"
	say $unit.status "$(show $unit StatusText)"
	say $unit.group "$(show $unit ControlGroup)"
	say $unit.user "$(stat -c %U /proc/$pid)"
	for what in CapEff CapBnd NoNewPrivs Seccomp; do say $unit.$what "$(awk "/^$what:/ { print \$2 }" /proc/$pid/status)"; done
done
say sql "$(tickwire sql --format csv 'SELECT count(*) AS n FROM orders' 2>&1)"
say processes "$(tickwire status 2>/dev/null | grep -c ': alive')"
say socket "$(stat -c '%U %a' /run/tickwire/f.sock 2>&1)"
say others "$(setpriv --reuid=nobody --regid=nogroup --clear-groups ls /dev/shm/tickwire 2>&1 | grep -o 'Permission denied')"
say cache "$(stat -c '%U %a' /var/cache/tickwire/plugins)"

another() { # waits for another process of the unit
	until now=$(show $1 MainPID) && [ "$now" != 0 ] && [ "$now" != "$2" ] && [ "$(show $1 ActiveState)" = active ]; do sleep 0.1; done
}
# The package once more, as at an upgrade: what runs goes on.
pid=$(show $feed MainPID)
dpkg --force-unsafe-io -i /run/packages/tickwire_*.deb >/run/out/upgrade 2>&1
say upgrade.same "$([ "$(show $feed MainPID)" = "$pid" ] && echo yes)"
say upgrade.told "$(grep -c 'what runs is the version before' /run/out/upgrade)"
# A crash, as of a panic.
kill -QUIT "$pid"
another $feed "$pid"
say crash.again yes
# A process that stands still.
mkdir -p /run/systemd/system/$feed.service.d
printf '[Service]\nWatchdogSec=5\nTimeoutAbortSec=1\n' >/run/systemd/system/$feed.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart $feed
pid=$(show $feed MainPID)
kill -STOP "$pid"
another $feed "$pid"
say hang.again yes
# A configuration that is wrong: told, and not started again.
systemctl stop $feed
cp /etc/tickwire/tickwire.toml /run/good.toml
echo 'wrong = 1' >>/etc/tickwire/tickwire.toml
systemctl restart $serve && say wrong.started yes
until [ "$(show $serve ActiveState)" = failed ]; do sleep 0.1; done
say wrong.code "$(show $serve ExecMainStatus)"
say wrong.restarts "$(show $serve NRestarts)"
# All in one unit: it takes the place of the others, and they of it.
cp /run/good.toml /etc/tickwire/tickwire.toml
systemctl start $feed $serve
systemctl start tickwire-run
say run.state "$(show tickwire-run ActiveState)"
say run.status "$(show tickwire-run StatusText)"
say run.others "$(show $feed ActiveState) $(show $serve ActiveState) $(show $join ActiveState)"
until tickwire sql 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done
for what in feed serve consolidate; do
	say run.$what "$(awk '/^CapEff:/ { print $2 }' /proc/$(pgrep -f "tickwire $what")/status)"
done
systemctl start $feed $serve
say run.after "$(show tickwire-run ActiveState) $(show $feed ActiveState)"
# Removal ends what runs.
say removal.before "$(pgrep -c -x tickwire)"
dpkg -P tickwire ticktune >/run/out/purge 2>&1
say removal.after "$(pgrep -c -x tickwire)"
say removal.left "$(ls -d /etc/tickwire /var/lib/tickwire /var/cache/tickwire /run/tickwire /dev/shm/tickwire 2>/dev/null)"
