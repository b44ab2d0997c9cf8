{{/* The release's name, which all objects have. */}}
{{- define "name" -}}
{{- $name := .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the release name %q is not valid for a Service: use lower case letters, digits and hyphens, with a letter first" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: asteroid-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The configuration as a YAML document. A given one replaces the default as a whole. */}}
{{- define "config" -}}
{{- if .Values.config }}{{ toYaml .Values.config }}{{ else }}{{ .Files.Get "files/gateway.yaml" }}{{ end }}
{{- end }}

{{/* Returns a text for an address that can be reached only inside the pod, else nothing. */}}
{{- define "loopback" -}}
{{- if regexMatch "^(127[.]|localhost:|\\[::1\\]|\\[::ffff:127[.])" . }}loopback{{ end -}}
{{- end }}

{{/* Returns the port of the admin listener, which must be on the pod's address. */}}
{{- define "adminPort" -}}
{{- $address := dig "admin" "address" "127.0.0.1:9090" (include "config" . | fromYaml) -}}
{{- if include "loopback" $address -}}
{{- fail "config.admin.address must be on the pod's address, such as 0.0.0.0:9090: probes and Prometheus come from outside" -}}
{{- end -}}
{{- regexFind "[0-9]+$" $address -}}
{{- end }}

{{/* A digest of the settings that the gateway reads only when it starts. A change of it replaces the pods; running pods apply other changes. */}}
{{- define "restart" -}}
{{- $config := include "config" . | fromYaml -}}
{{- $listeners := list -}}
{{- range $config.listeners }}{{ $listeners = append $listeners (omit . "tenant" "hosts") }}{{ end -}}
{{- $timeouts := pick ($config.timeouts | default dict) "connect" "idle" -}}
{{- $upstream := omit ($config.upstream | default dict) "credential_header" "api" "list_parameters" -}}
{{- $rest := pick $config "admin" "drain" "traces" "audit" "fingerprint_salt" "workers" -}}
{{- dict "listeners" $listeners "timeouts" $timeouts "upstream" $upstream "rest" $rest | toJson | sha256sum -}}
{{- end }}
