{{/* Checks that the schema cannot express, of values that would fail only in the cluster. */}}
{{- define "checks" -}}
{{- include "checkImage" . -}}
{{- include "checkCallers" . -}}
{{- include "checkPorts" . -}}
{{- include "checkGrace" . -}}
{{- include "checkPolicy" . -}}
{{- range $label, $_ := include "selector" . | fromYaml -}}
{{- if hasKey ($.Values.podLabels | default dict) $label -}}
{{- fail (printf "podLabels: the chart itself sets %s, by which the Service selects the pods: choose another label" $label) -}}
{{- end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "autoscaling: minReplicas %v is more than maxReplicas %v: raise maxReplicas" .minReplicas .maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "checkImage" -}}
{{- if and .Values.image.tag .Values.image.digest -}}
{{- fail "image: tag and digest are both set; the digest decides, and the tag would have no effect: clear one of them" -}}
{{- end -}}
{{- end }}

{{/* Names and ports become those of the Service, where each must be unique. */}}
{{- define "checkCallers" -}}
{{- $names := dict -}}
{{- $ports := dict (include "adminPort" .) "admin" -}}
{{- range .Values.callers -}}
{{- $segments := regexMatch "^[a-z0-9]+(-[a-z0-9]+)*$" .name -}}
{{- if not (and $segments (regexMatch "[a-z]" .name) (le (len .name) 15)) -}}
{{- fail (printf "callers: %q is not a valid port name: write at most 15 lower case letters, digits and single hyphens, with at least one letter" .name) -}}
{{- end -}}
{{- if hasKey $names .name -}}
{{- fail (printf "callers: two have the name %q: give each a different name" .name) -}}
{{- end -}}
{{- $port := .port -}}
{{- with get $ports (toString .port) -}}
{{- fail (printf "callers: port %v is already used by %s: write one entry per port, with all its callers in from" $port .) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- $_ := set $ports (toString .port) .name -}}
{{- end -}}
{{- end }}

{{/* Each caller's port must be that of a listener on the pod's address. */}}
{{- define "checkPorts" -}}
{{- $outside := list -}}
{{- $inside := list -}}
{{- range (include "config" . | fromYaml).listeners -}}
{{- $port := regexFind "^[^/]*:[0-9]+$" .address | splitList ":" | last -}}
{{- if include "loopback" .address }}{{ $inside = append $inside $port }}{{ else }}{{ $outside = append $outside $port }}{{ end -}}
{{- end -}}
{{- range .Values.callers -}}
{{- $port := toString .port -}}
{{- if and (has $port $inside) (not (has $port $outside)) -}}
{{- fail (printf "callers: the listener with port %s is on loopback, where no caller can reach it: write 0.0.0.0:%s" $port $port) -}}
{{- end -}}
{{- if not (has $port $outside) -}}
{{- fail (printf "callers: no listener of config has port %s: correct the port, or add a listener" $port) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Returns the seconds of a simple span of time, such as 15s or 2m; nothing for other forms, which the gateway checks. */}}
{{- define "seconds" -}}
{{- if regexMatch "^[0-9]{1,6}s$" . }}{{ trimSuffix "s" . }}{{ else if regexMatch "^[0-9]{1,6}m$" . }}{{ mul 60 (trimSuffix "m" .) }}{{ end -}}
{{- end }}

{{/* 10 seconds more than the drain takes, for the log and audit to be written. */}}
{{- define "checkGrace" -}}
{{- $drain := (include "config" . | fromYaml).drain | default dict -}}
{{- $delay := include "seconds" (toString ($drain.delay | default "0s")) -}}
{{- $timeout := include "seconds" (toString ($drain.timeout | default "65s")) -}}
{{- $least := add 10 (int $delay) (int $timeout) -}}
{{- $given := int .Values.terminationGracePeriodSeconds -}}
{{- if lt $given (int $least) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short for drain.delay and drain.timeout of config plus 10 seconds, and SIGKILL would cut off starts that may run: write at least %d, or shorten the drain" $given $least) -}}
{{- end -}}
{{- end }}

{{/* The default configuration trusts every private network. */}}
{{- define "checkPolicy" -}}
{{- if not (or .Values.networkPolicy.enabled .Values.config) -}}
{{- fail "networkPolicy.enabled is false, and the default config accepts every pod as its tenant: write a config whose trusted_peers are only the callers' addresses, or leave the policy on" -}}
{{- end -}}
{{- end }}

{{/* Returns the names of callers with a fixed tenant's port that every namespace can reach, if there are several such tenants. */}}
{{- define "openCallers" -}}
{{- $tenants := dict -}}
{{- range (include "config" . | fromYaml).listeners -}}
{{- $port := regexFind "^[^/]*:[0-9]+$" .address | splitList ":" | last -}}
{{- if kindIs "map" .tenant }}{{ with .tenant.fixed }}{{ $_ := set $tenants $port . }}{{ end }}{{ end -}}
{{- end -}}
{{- $open := list -}}
{{- range $caller := .Values.callers -}}
{{- range .from -}}
{{- $selector := .namespaceSelector | default dict -}}
{{- if and (hasKey . "namespaceSelector") (not $selector.matchLabels) (not $selector.matchExpressions) (hasKey $tenants (toString $caller.port)) -}}
{{- $open = append $open $caller.name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (len (values $tenants | uniq)) 1 }}{{ $open | uniq | join ", " }}{{ end -}}
{{- end }}
