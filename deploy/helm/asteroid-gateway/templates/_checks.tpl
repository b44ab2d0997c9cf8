{{/* What the schema cannot say of values that would fail only in the cluster. */}}
{{- define "checks" -}}
{{- include "checkImage" . -}}
{{- include "checkCallers" . -}}
{{- include "checkPorts" . -}}
{{- include "checkGrace" . -}}
{{- include "checkPolicy" . -}}
{{- range $label, $_ := include "selector" . | fromYaml -}}
{{- if hasKey ($.Values.podLabels | default dict) $label -}}
{{- fail (printf "podLabels: %s is the chart's own, by which the Service finds the pods: take another label" $label) -}}
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
{{- fail "image: tag and digest are both given, and the digest decides, so that another tag would change nothing: empty one of them" -}}
{{- end -}}
{{- end }}

{{/* Names and ports are those of the Service, which has each once. */}}
{{- define "checkCallers" -}}
{{- $names := dict -}}
{{- $ports := dict (include "adminPort" .) "admin" -}}
{{- range .Values.callers -}}
{{- $segments := regexMatch "^[a-z0-9]+(-[a-z0-9]+)*$" .name -}}
{{- if not (and $segments (regexMatch "[a-z]" .name) (le (len .name) 15)) -}}
{{- fail (printf "callers: %q is no name of a port: write at most 15 lower case letters, digits and single hyphens, with a letter" .name) -}}
{{- end -}}
{{- if hasKey $names .name -}}
{{- fail (printf "callers: two have the name %q: give each a name of its own" .name) -}}
{{- end -}}
{{- $port := .port -}}
{{- with get $ports (toString .port) -}}
{{- fail (printf "callers: port %v is %s's already: one entry a port, with everybody who may reach it in its from" $port .) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- $_ := set $ports (toString .port) .name -}}
{{- end -}}
{{- end }}

{{/* Each port that callers reach is a listener's, on the pod's address. */}}
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
{{- fail (printf "callers: the listener with port %s is on loopback, where no caller reaches it: write 0.0.0.0:%s" $port $port) -}}
{{- end -}}
{{- if not (has $port $outside) -}}
{{- fail (printf "callers: no listener of config has port %s" $port) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The seconds of a plain span of time, such as 15s or 2m. None of another form, which is for the gateway to read. */}}
{{- define "seconds" -}}
{{- if regexMatch "^[0-9]{1,6}s$" . }}{{ trimSuffix "s" . }}{{ else if regexMatch "^[0-9]{1,6}m$" . }}{{ mul 60 (trimSuffix "m" .) }}{{ end -}}
{{- end }}

{{/* 10 seconds more than the drain takes, for what is written at the end. */}}
{{- define "checkGrace" -}}
{{- $drain := (include "config" . | fromYaml).drain | default dict -}}
{{- $delay := include "seconds" (toString ($drain.delay | default "0s")) -}}
{{- $timeout := include "seconds" (toString ($drain.timeout | default "65s")) -}}
{{- $least := add 10 (int $delay) (int $timeout) -}}
{{- $given := int .Values.terminationGracePeriodSeconds -}}
{{- if lt $given (int $least) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is less than drain.delay and drain.timeout of config together and 10 more, so that SIGKILL would cut off starts that may run: write at least %d, or shorten the drain" $given $least) -}}
{{- end -}}
{{- end }}

{{/* The default configuration trusts every private network. */}}
{{- define "checkPolicy" -}}
{{- if not (or .Values.networkPolicy.enabled .Values.config) -}}
{{- fail "networkPolicy.enabled is false, and the default config trusts every pod to be its tenant: write a config whose trusted_peers are the callers' addresses alone, or leave the policy on" -}}
{{- end -}}
{{- end }}

{{/* The callers' names, each a tenant's port that every namespace reaches, where there is more than one such tenant. */}}
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
