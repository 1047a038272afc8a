# bash completion for llmrr: eval "$(llmrr completion bash)"
_llmrr_completion() {
    local IFS=$'\n' line cur words=() i colon=""
    # Bash splits words at colons; glue them together, up to the cursor.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        if [[ ${#words[@]} -gt 0 && ( ${COMP_WORDS[i]} == : || $colon ) \
                && ${COMP_LINE} == *"${words[-1]}${COMP_WORDS[i]}"* ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        colon=""
        [[ ${COMP_WORDS[i]} == : ]] && colon=1
    done
    cur=${words[-1]}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        # What stands before the last colon is on the line already.
        [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && line=${line#"${cur%"${cur##*:}"}"}
        COMPREPLY+=("$(printf '%q' "$line")")
    done < <(_LLMRR_COMPLETE=1 "${COMP_WORDS[0]}" "${words[@]}" 2>/dev/null)
}
complete -o default -o bashdefault -F _llmrr_completion llmrr
