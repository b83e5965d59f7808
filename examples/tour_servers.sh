# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The servers and clients of the guided tour, sourced by tour.sh, whose functions it calls.

# Begin a program's part; 1: there is no time left for it, and the run $2 is not over either.
show_title() {
    if is_over && [ ! -e "$scratch/$2.us" ]; then
        skipped+=" $1"
        return 1
    fi
    printf '%s%s' "$plain" "$bold"
    show_line 0 "${1^^}  ${about[$1]}"
    printf '%s' "$plain"
}

show_command() {
    printf '%s' "$dim"
    show_line 6 "$1"
    printf '%s' "$plain"
}

# How long a run took.
duration() {
    content "$1.us"
    format_us "${REPLY%$'\n'}"
}

# A client that asks a server on this machine. That is Python's, where there is one: a server that is none of ours.
show_client() {
    local port line
    show_title look/12 look_12 || return 0
    if [ -z "$python" ] || ! start_web_server; then
        printf '      %s(no python3 to ask: ./run look/12 HOST:80)%s\n\n' "$dim" "$plain"
        return
    fi
    run_timed look_12 "${program[look/12]}" "127.0.0.1:$port"
    kill "$web_server" 2>/dev/null
    show_lines "$scratch/look_12.out"
    succeeded look_12 || show_failure look_12
    duration look_12
    show_parts "crank $REPLY"
}

# Eight URLs for real, and how long as many take under the simulator.
show_fetch() {
    local parts
    show_title fetch fetch || return 0
    show_command "./run fetch --live: from a server on this machine that answers slowly, redirects, fails and resets"
    wait_for fetch "fetch is running"
    if [ ! -e "$scratch/fetch.us" ]; then
        skipped+=" fetch"
        printf '      %s(not in time)%s\n\n' "$dim" "$plain"
        return
    fi
    show_lines "$scratch/fetch.out"
    succeeded fetch || show_failure fetch
    duration fetch
    parts=("crank $REPLY")
    run_timed fetch_scene "${program[fetch]}" --scene
    duration fetch_scene
    parts+=("./run fetch --scene: such URLs simulated, half a minute in $REPLY")
    show_parts "${parts[@]}"
}

# What a scene has printed without what differs from run to run: times, and the order of what is told to several.
spoken() {
    sed -E 's/^ *[0-9]+ s //; s/[0-9]{2}:[0-9]{2} //; s/"(at|epoch)":"?[0-9]*"?//g' "$scratch/$1.out" | sort
}

# The scene under the simulator; and the same one for real, which has gone on since the tour's beginning.
show_chat() {
    local parts
    show_title chat chat_live || return 0
    show_command "./run chat --scene: two members by nc, one in a browser, four minutes, simulated"
    run_timed chat "${program[chat]}" --scene
    show_lines "$scratch/chat.out"
    succeeded chat || show_failure chat
    duration chat
    parts=("crank $REPLY")
    wait_for chat_live "chat is running"
    if succeeded chat_live; then
        duration chat_live
        parts+=("for real, a minute in each second: $REPLY")
        [ "$(spoken chat_live)" != "$(spoken chat)" ] || parts+=("(the same lines)")
    elif [ -e "$scratch/chat_live.us" ]; then
        show_failure chat_live
    fi
    show_parts "${parts[@]}"
}

# As show_output, but never in columns: a conversation is read downwards.
show_lines() {
    local lines line
    mapfile -t lines <"$1"
    for line in "${lines[@]}"; do
        show_line 6 "${line%$'\r'}"
    done
}

# Python's own web server, on a free port, which it says in its first line.
start_web_server() {
    local tries
    mkdir "$scratch/site"
    : >"$scratch/web.said" # before the server opens it, it is looked into
    "$python_path" -u -m http.server --bind 127.0.0.1 --directory "$scratch/site" 0 \
        >"$scratch/web.said" 2>/dev/null </dev/null &
    web_server=$!
    echo $web_server >"$scratch/web.pid"
    for ((tries = 0; tries < 100; tries++)); do
        read -r line <"$scratch/web.said" && [[ $line =~ port\ ([0-9]+) ]] && port=${BASH_REMATCH[1]} && return 0
        pause
    done
    return 1
}

# Where a person and a browser are there: the chat server for real, until it is ended by Ctrl-C.
offer_chat() {
    local key
    [ -t 0 ] && [ -t 1 ] && [ -n "${DISPLAY-}${WAYLAND_DISPLAY-}" ] && command -v xdg-open >/dev/null || return 0
    printf '\n%sEnter opens a chat room in your browser%s; another key, or 15 seconds, ends the tour. ' "$bold" "$plain"
    IFS= read -rsn 1 -t 15 key || key=none
    printf '\n'
    [ -z "$key" ] || return 0
    trap : INT # it is the server's
    "${program[chat]}" --open --lines 127.0.0.1:0 --web 127.0.0.1:0
}
