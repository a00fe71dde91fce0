# The report of tests/bench/store: tables, goals, and JSON if that is asked for.
# Fields: subject, stage, row, operations, wall s, CPU s, latencies in us (50, 99, 99.9 %), bytes to the device, memory, longest latency.

function key(s, st, r) { return s SUBSEP st SUBSEP r }
function rate(s, st, r,    k) { k = key(s, st, r); return (k in ops) && wall[k] > 0 ? ops[k] / wall[k] : 0 }
function best(st, r) { return max(rate("cairn", st, r), rate("cairn2", st, r)) }
function max(a, b) { return a > b ? a : b }
function ratio(a, b) { return b > 0 ? a / b : -1 }
function known(s, st, r) { return key(s, st, r) in ops }
function cpu_per_op(s, st, r,    k) { k = key(s, st, r); return ops[k] > 0 ? cpu[k] / ops[k] * 1e6 : -1 }

# Over the sizes of "grow", the dearest divided by the cheapest; kind: how it was done.
function spread(kind, r,    i, low, high, c) {
	low = high = -1
	for (i = 1; i <= n_sizes; i++) {
		if (!known("cairn", kind " " size[i], r)) continue
		c = cpu_per_op("cairn", kind " " size[i], r)
		if (low < 0 || c < low) low = c
		if (c > high) high = c
	}
	return low > 0 ? high / low : -1
}

function goal(name, value, wanted, at_most) {
	if (value < 0) return
	n_goals++
	goal_name[n_goals] = name; goal_value[n_goals] = value; goal_wanted[n_goals] = wanted; goal_most[n_goals] = at_most
	goal_met[n_goals] = at_most ? value <= wanted : value >= wanted
	if (!goal_met[n_goals]) n_short++
}

function number(v) { return v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) : sprintf("%.2f", v) }

function value(what, k) { return what == "device" ? device[k] : what == "memory" ? memory[k] : "" }

# One table: what of each row, for each subject.
function table(title, what,    i, j, k, text, any) {
	printf "\n%-34s", title
	for (j = 1; j <= n_subjects; j++) printf " %15s", subject[j]
	print ""
	for (i = 1; i <= n_rows; i++) {
		if (row_of[i] ~ /(open|close|kill)$/ && what != "ms") continue
		if (row_of[i] !~ /(open|close)$/ && what == "ms") continue
		text = ""; any = 0
		for (j = 1; j <= n_subjects; j++) {
			k = subject[j] SUBSEP row_of[i]
			if (!(k in ops) || ops[k] == 0 || value(what, k) == "null") { text = text sprintf(" %15s", ""); continue }
			any = 1
			if (what == "rate") text = text sprintf(" %15.0f", ops[k] / wall[k])
			if (what == "cpu") text = text sprintf(" %15s", number(cpu[k] / ops[k] * 1e6))
			if (what == "latency") text = text sprintf(" %15s", number(p50[k]) "/" number(p99[k]))
			if (what == "wall") text = text sprintf(" %15s", number(wall[k] / ops[k] * 1e6))
			if (what == "longest") text = text sprintf(" %15s", number(longest[k] / 1e3))
			if (what == "device") text = text sprintf(" %15s", number(device[k] / ops[k]))
			if (what == "memory") text = text sprintf(" %15s", number(memory[k] / ops[k]))
			if (what == "ms") text = text sprintf(" %15s", number(wall[k] * 1e3))
		}
		if (!any) continue
		split(row_of[i], part, SUBSEP)
		printf "%-34s%s\n", part[1] "  " part[2], text
	}
}

function goals(    i, k) {
	if (known("ext4", "sync", "create:64:c64")) {
		goal("durable creates, 64 in flight: times ext4", ratio(best("sync", "create:64:c64"), rate("ext4", "sync", "create:64:c64")), 3)
		goal("stable 4 KiB overwrites, 64 in flight: times ext4", ratio(best("sync", "overwrite4k:64"), rate("ext4", "sync", "overwrite4k:64")), 1.5)
	}
	if (known("ext4", "data", "write1m")) {
		goal("1 MiB sequential write: times ext4", ratio(best("data", "write1m"), rate("ext4", "data", "write1m")), 0.9)
		goal("1 MiB sequential read, cold: times ext4", ratio(best("data", "read1m"), rate("ext4", "data", "read1m")), 0.9)
		goal("1 MiB sequential read, cached: times ext4", ratio(best("cached", "read1m"), rate("ext4", "cached", "read1m")), 0.9)
		goal("cached 4 KiB reads, 1 in flight: times memfs", ratio(rate("cairn", "cached", "read4k:1"), rate("memfs", "cached", "read4k:1")), 0.85)
		goal("cached 4 KiB reads, 8 in flight: times memfs", ratio(rate("cairn", "cached", "read4k:8"), rate("memfs", "cached", "read4k:8")), 0.85)
	}
	if (known("ring", "cached", "read4k:8"))
		goal("cached 4 KiB reads, 8 in flight through the ring: times memfs", ratio(rate("ring", "cached", "read4k:8"), rate("memfs-ring", "cached", "read4k:8")), 0.85)
	k = key("cairn", "killed", "open")
	if (k in ops) goal("open after kill -9 with " ops[key("cairn", "fill", "fill:64")] " files: seconds", wall[k], 1, 1)
	k = key("cairn", "cold", "stat")
	if (k in ops) goal("memory per cached inode: bytes", memory[k] / ops[k], 1024, 1)
	goal("create in a growing directory: CPU per op, most/least", spread("grow", "create:64"), 2, 1)
	goal("look up in a growing directory", spread("grow", "lookup:1"), 2, 1)
	goal("look up there, no inode in memory", spread("few nodes", "lookup:1"), 2, 1)
	goal("list a page by name of a growing directory", spread("grow", "pagefrom"), 2, 1)
	goal("delete in a growing directory", spread("grow", "unlink:64"), 2, 1)
}

function print_goals(    i) {
	printf "\n%-66s %10s %10s\n", "goals", "is", "wanted"
	for (i = 1; i <= n_goals; i++)
		printf "%-66s %10s %10s  %s\n", goal_name[i], number(goal_value[i]), (goal_most[i] ? "<= " : ">= ") goal_wanted[i],
			goal_met[i] ? "pass" : "SHORT"
	printf "\n%d goals short of %d\n", n_short, n_goals
}

function print_json(    i, j, k, comma) {
	printf "{\n\t\"disk\": \"%s\",\n\t\"results\": [", disk >json
	comma = ""
	for (j = 1; j <= n_subjects; j++)
		for (i = 1; i <= n_rows; i++) {
			k = subject[j] SUBSEP row_of[i]
			if (!(k in ops)) continue
			split(row_of[i], part, SUBSEP)
			printf "%s\n\t\t{\"store\": \"%s\", \"stage\": \"%s\", \"row\": \"%s\", \"operations\": %d, \"seconds\": %s, \"cpu_seconds\": %s, " \
				"\"us_50\": %s, \"us_99\": %s, \"us_999\": %s, \"device_bytes\": %s, \"memory_bytes\": %s}", comma, subject[j],
				part[1], part[2], ops[k], wall[k], cpu[k], p50[k], p99[k], p999[k], device[k], memory[k] >json
			comma = ","
		}
	printf "\n\t],\n\t\"goals\": [" >json
	comma = ""
	for (i = 1; i <= n_goals; i++) {
		printf "%s\n\t\t{\"goal\": \"%s\", \"value\": %s, \"%s\": %s, \"met\": %s}", comma, goal_name[i], goal_value[i],
			goal_most[i] ? "at_most" : "at_least", goal_wanted[i], goal_met[i] ? "true" : "false" >json
		comma = ","
	}
	printf "\n\t]\n}\n" >json
	close(json)
}

{
	k = key($1, $2, $3)
	if (!($1 in seen_subject)) { seen_subject[$1]; subject[++n_subjects] = $1 }
	if (!(($2, $3) in seen_row)) { seen_row[$2, $3]; row_of[++n_rows] = $2 SUBSEP $3 }
	if ($2 ~ /^grow / && !($2 in seen_size)) { seen_size[$2]; size[++n_sizes] = substr($2, 6) }
	if ((k in ops) && $4 / ($5 + 1e-9) <= ops[k] / (wall[k] + 1e-9)) next
	ops[k] = $4; wall[k] = $5; cpu[k] = $6; p50[k] = $7; p99[k] = $8; p999[k] = $9; device[k] = $10; memory[k] = $11; longest[k] = $12
}

END {
	print "disk: " disk
	table("operations/s", "rate")
	table("CPU us/operation", "cpu")
	table("us of a step, 50 % / 99 %", "latency")
	if (n_sizes) {
		table("wall us/operation", "wall")
		table("ms of the longest step", "longest")
	}
	table("bytes to the device/operation", "device")
	table("bytes of memory/operation", "memory")
	table("milliseconds", "ms")
	goals()
	print_goals()
	if (json != "") print_json()
	exit 0
}
