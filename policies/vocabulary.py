"""Closed enumerations. Their values go on the wire and into the audit log: they never change."""

from __future__ import annotations

from enum import StrEnum


class LegalBasis(StrEnum):
    """Why a purpose is lawful. Source: GDPR Art. 6(1)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTERESTS = "legitimate-interests"


class RetentionClass(StrEnum):
    """What a person's data is kept for; each class has a key of its own and its own end.

    Source: GDPR Art. 5(1)(e), 17(3); LOPDGDD Art. 32.
    """

    PROFILE = "profile"
    CONSENT_EVIDENCE = "consent-evidence"
    RIGHTS_FILE = "rights-file"
    SECURITY_TRAIL = "security-trail"
    BLOCKED_CASE = "blocked-case"


class ConsentAction(StrEnum):
    """What happened to a consent. Source: ISO/IEC TS 27560, W3C DPV 2.3 consent status."""

    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    RENEWED = "renewed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"


class SaidBy(StrEnum):
    """Whose word an event is. Source: ISO/IEC TS 27560 (`entity_id`); LOPDGDD Art. 7, 12.1."""

    PERSON = "person"
    GUARDIAN = "guardian"
    REPRESENTATIVE = "representative"
    STAFF = "staff"
    IMPORT = "import"
    CONTROLLER = "controller"
    CLOCK = "clock"


class ContactChannel(StrEnum):
    """By which way a person is reached, where the register asks for each by itself."""

    EMAIL = "email"
    PHONE = "phone"
    POST = "post"
    PUSH = "push"


class ConsentChannel(StrEnum):
    """By which way the person's word reached us."""

    WEB = "web"
    API = "api"
    APP = "app"
    PHONE = "phone"
    STORE = "store"
    POST = "post"
    IMPORT = "import"
    BROWSER_SIGNAL = "browser-signal"


class DecisionReason(StrEnum):
    """Why a check was permitted or denied; `docs/reasons/` explains each."""

    CONSENT_GIVEN = "consent-given"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    LEGITIMATE_INTEREST = "legitimate-interest"
    NO_CONSENT = "no-consent"
    CONSENT_REFUSED = "consent-refused"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_EXPIRED = "consent-expired"
    CONSENT_REVOKED = "consent-revoked"
    CONSENT_INVALIDATED = "consent-invalidated"
    NOTICE_CHANGED = "notice-changed"
    OBJECTED = "objected"
    SUPPRESSED = "suppressed"
    RESTRICTED = "restricted"
    BLOCKED = "blocked"
    DECEASED = "deceased"
    MINOR_WITHOUT_GUARDIAN = "minor-without-guardian"
    UNVERIFIED_PERSON = "unverified-person"
    UNKNOWN_PERSON = "unknown-person"
    UNKNOWN_PURPOSE = "unknown-purpose"
    PURPOSE_NOT_OF_APPLICATION = "purpose-not-of-application"
    OPTION_NEEDED = "option-needed"
    CATEGORY_NOT_COVERED = "category-not-covered"
    OBLIGATION_NOT_SUPPORTED = "obligation-not-supported"
    UNKNOWN_TYPE = "unknown-type"
    STATE_UNREADABLE = "state-unreadable"


class Right(StrEnum):
    """What a person may ask. Source: GDPR Art. 15 to 22; LOPDGDD Art. 12 to 18."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    OBJECTION = "objection"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    NO_AUTOMATED_DECISION = "no-automated-decision"


class RightsState(StrEnum):
    """Where a rights request stands."""

    UNVERIFIED = "unverified"
    OPEN = "open"
    FULFILLED = "fulfilled"
    REFUSED = "refused"
    EXPIRED = "expired"


class Attribute(StrEnum):
    """Profile fields that a purpose may need; each is asked for only then.

    Their values are OpenID Connect claim names where it has one. Source: OIDC Core s. 5.1.
    """

    EMAIL = "email"
    GIVEN_NAME = "given_name"
    FAMILY_NAME = "family_name"
    PHONE = "phone"
    POSTAL_ADDRESS = "postal_address"
    BIRTHDATE = "birthdate"
    LOCALE = "locale"


class Role(StrEnum):
    """What a signed-in human may do."""

    PERSON = "person"
    STAFF = "staff"
    DPO = "dpo"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What a view demands of its caller. Applications hold the ones with a colon as OAuth scopes."""

    PUBLIC = "public"
    SIGNED_IN = "signed-in"
    DESK = "desk"
    ADMINISTRATION = "administration"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    DECISIONS_EVALUATE = "decisions:evaluate"
    PSEUDONYMS_WRITE = "pseudonyms:write"
    PSEUDONYMS_READ = "pseudonyms:read"
    PROFILE_REQUEST = "profile:request"
    PURPOSES_READ = "purposes:read"
    RIGHTS_READ = "rights:read"
    RIGHTS_WRITE = "rights:write"
    AUDIT_READ = "audit:read"
    REPORTS_READ = "reports:read"


class EventTag(StrEnum):
    """Everything that the audit log can say happened: `capability:subject:action`."""

    AUDIT_LOG_STARTED = "audit:log:started"
    AUDIT_ERASURE_EXECUTED = "audit:erasure:executed"
    AUDIT_EXPORT_ISSUED = "audit:export:issued"
    KEYS_EPOCH_CREATED = "keys:epoch:created"
    KEYS_EPOCH_DESTROYED = "keys:epoch:destroyed"
    KEYS_SIGNING_KEY_CREATED = "keys:signing-key:created"
    KEYS_SIGNING_KEY_RETIRED = "keys:signing-key:retired"
    SUBJECTS_SUBJECT_CREATED = "subjects:subject:created"
    SUBJECTS_IDENTIFIER_ADDED = "subjects:identifier:added"
    SUBJECTS_IDENTIFIER_VERIFIED = "subjects:identifier:verified"
    SUBJECTS_IDENTIFIER_REMOVED = "subjects:identifier:removed"
    SUBJECTS_IDENTIFIER_PREFERRED = "subjects:identifier:preferred"
    SUBJECTS_PROFILE_RECTIFIED = "subjects:profile:rectified"
    SUBJECTS_SUBJECT_DECEASED = "subjects:subject:deceased"
    SUBJECTS_DEATH_CORRECTED = "subjects:death:corrected"
    SUBJECTS_SUBJECT_LOOKED_UP = "subjects:subject:looked-up"
    SUBJECTS_SUBJECT_RESTRICTED = "subjects:subject:restricted"
    SUBJECTS_LIFTING_ANNOUNCED = "subjects:lifting:announced"
    SUBJECTS_RESTRICTION_LIFTED = "subjects:restriction:lifted"
    SUBJECTS_SUBJECT_ERASED = "subjects:subject:erased"
    SUBJECTS_SUBJECT_MERGED = "subjects:subject:merged"
    PSEUDONYMS_DOMAIN_CREATED = "pseudonyms:domain:created"
    PSEUDONYMS_PSEUDONYM_ISSUED = "pseudonyms:pseudonym:issued"
    PSEUDONYMS_PSEUDONYM_ALIASED = "pseudonyms:pseudonym:aliased"
    REGISTER_REVISION_PUBLISHED = "register:revision:published"
    CONSENT_CONSENT_GIVEN = "consent:consent:given"
    CONSENT_CONSENT_REFUSED = "consent:consent:refused"
    CONSENT_CONSENT_WITHDRAWN = "consent:consent:withdrawn"
    CONSENT_CONSENT_REQUESTED = "consent:consent:requested"
    CONSENT_CONSENT_RENEWED = "consent:consent:renewed"
    CONSENT_CONSENT_EXPIRED = "consent:consent:expired"
    CONSENT_CONSENT_REVOKED = "consent:consent:revoked"
    CONSENT_CONSENT_INVALIDATED = "consent:consent:invalidated"
    CONSENT_ENDING_ORDERED = "consent:ending:ordered"
    CONSENT_LETTER_SENT_AGAIN = "consent:letter:sent-again"
    CONSENT_MOMENT_LOOKED_UP = "consent:moment:looked-up"
    CONSENT_OBJECTION_MADE = "consent:objection:made"
    CONSENT_OBJECTION_LIFTED = "consent:objection:lifted"
    CONSENT_GUARDIAN_INVITED = "consent:guardian:invited"
    CONSENT_GUARDIAN_ACCEPTED = "consent:guardian:accepted"
    CONSENT_GUARDIAN_ENDED = "consent:guardian:ended"
    CONSENT_ATTACHMENT_ADDED = "consent:attachment:added"
    CONSENT_ATTACHMENT_READ = "consent:attachment:read"
    CONSENT_SIGNAL_CHANGED = "consent:signal:changed"
    CONSENT_SUPPRESSION_ADDED = "consent:suppression:added"
    CONSENT_SUPPRESSION_ENDED = "consent:suppression:ended"
    CONSENT_EXCLUSION_LIST_IMPORTED = "consent:exclusion-list:imported"
    CONSENT_IMPORT_BEGUN = "consent:import:begun"
    CONSENT_IMPORT_FINISHED = "consent:import:finished"
    CONSENT_EXPORT_ISSUED = "consent:export:issued"
    DECISIONS_ACCESS_REQUESTED = "decisions:access:requested"
    DECISIONS_ACCESS_ANSWERED = "decisions:access:answered"
    DECISIONS_DATA_DOWNLOADED = "decisions:data:downloaded"
    CONSENT_NOTICE_ACKNOWLEDGED = "consent:notice:acknowledged"
    COLLECTION_REQUEST_MADE = "collection:request:made"
    COLLECTION_REQUEST_ANSWERED = "collection:request:answered"
    RIGHTS_REQUEST_RECEIVED = "rights:request:received"
    RIGHTS_REQUEST_VERIFIED = "rights:request:verified"
    RIGHTS_REQUEST_FULFILLED = "rights:request:fulfilled"
    RIGHTS_REQUEST_REFUSED = "rights:request:refused"
    RIGHTS_REQUEST_EXPIRED = "rights:request:expired"
    RIGHTS_ACCESS_LINK_SENT = "rights:access-link:sent"
    RIGHTS_DATA_DOWNLOADED = "rights:data:downloaded"
    ACCOUNTS_ACCOUNT_REGISTERED = "accounts:account:registered"
    ACCOUNTS_ACCOUNT_VERIFIED = "accounts:account:verified"
    ACCOUNTS_ACCOUNT_CLOSED = "accounts:account:closed"
    ACCOUNTS_ACCOUNT_DISABLED = "accounts:account:disabled"
    ACCOUNTS_ACCOUNT_ENABLED = "accounts:account:enabled"
    ACCOUNTS_CLOSING_BEGUN = "accounts:closing:begun"
    ACCOUNTS_CLOSING_UNDONE = "accounts:closing:undone"
    ACCOUNTS_ADDRESS_CHANGE_UNDONE = "accounts:address-change:undone"
    ACCOUNTS_INVITATION_CREATED = "accounts:invitation:created"
    ACCOUNTS_INVITATION_USED = "accounts:invitation:used"
    ACCOUNTS_INVITATION_REVOKED = "accounts:invitation:revoked"
    ACCOUNTS_ROLE_GRANTED = "accounts:role:granted"
    ACCOUNTS_ROLE_REMOVED = "accounts:role:removed"
    ADMINISTRATION_ACCOUNT_LOOKED_UP = "administration:account:looked-up"
    CREDENTIALS_PASSWORD_SET = "credentials:password:set"  # noqa: S105 - an event's name
    CREDENTIALS_PASSWORD_RESET_REQUESTED = "credentials:password:reset-requested"  # noqa: S105 - an event's name
    CREDENTIALS_PASSWORD_COMPROMISED = "credentials:password:compromised"  # noqa: S105 - an event's name
    CREDENTIALS_FACTOR_RECOVERY_REQUESTED = "credentials:factor-recovery:requested"
    CREDENTIALS_FACTOR_RECOVERY_BEGUN = "credentials:factor-recovery:begun"
    CREDENTIALS_FACTOR_RECOVERY_CANCELLED = "credentials:factor-recovery:cancelled"
    CREDENTIALS_FACTOR_RECOVERY_COMPLETED = "credentials:factor-recovery:completed"
    CREDENTIALS_FACTOR_RECOVERY_EXPIRED = "credentials:factor-recovery:expired"
    MFA_TOTP_ENROLLED = "mfa:totp:enrolled"
    MFA_TOTP_REMOVED = "mfa:totp:removed"
    MFA_PASSKEY_ADDED = "mfa:passkey:added"
    MFA_PASSKEY_RENAMED = "mfa:passkey:renamed"
    MFA_PASSKEY_REMOVED = "mfa:passkey:removed"
    MFA_PASSKEY_FLAGGED = "mfa:passkey:flagged"
    MFA_PASSKEY_CONFIRMED = "mfa:passkey:confirmed"
    MFA_RECOVERY_CODES_REPLACED = "mfa:recovery-codes:replaced"
    RISK_SIGN_IN_ASSESSED = "risk:sign-in:assessed"
    RISK_DEVICE_REMEMBERED = "risk:device:remembered"
    RISK_DEVICE_DISTRUSTED = "risk:device:distrusted"
    RISK_DEVICE_REVOKED = "risk:device:revoked"
    RISK_ADDRESS_PROOF_REQUESTED = "risk:address-proof:requested"
    RISK_ADDRESS_PROOF_COMPLETED = "risk:address-proof:completed"
    SESSIONS_SIGN_IN_SUCCEEDED = "sessions:sign-in:succeeded"
    SESSIONS_SIGN_IN_FAILED = "sessions:sign-in:failed"
    SESSIONS_SESSION_STEPPED_UP = "sessions:session:stepped-up"
    SESSIONS_SESSION_ENDED = "sessions:session:ended"
    PROVIDER_CLIENT_ADDED = "provider:client:added"
    PROVIDER_CLIENT_CHANGED = "provider:client:changed"
    PROVIDER_CLIENT_DISABLED = "provider:client:disabled"
    PROVIDER_CLIENT_ENABLED = "provider:client:enabled"
    PROVIDER_CLIENT_SECRET_ROTATED = "provider:client-secret:rotated"  # noqa: S105 - an event's name
    PROVIDER_CLIENT_SECRET_RETIRED = "provider:client-secret:retired"  # noqa: S105 - an event's name
    PROVIDER_CODE_ISSUED = "provider:code:issued"
    PROVIDER_GRANT_MADE = "provider:grant:made"
    PROVIDER_GRANT_REFUSED = "provider:grant:refused"
    PROVIDER_GRANT_ENDED = "provider:grant:ended"
    PROVIDER_TOKENS_ISSUED = "provider:tokens:issued"
    PROVIDER_TOKENS_REFRESHED = "provider:tokens:refreshed"
    PROVIDER_TOKENS_REVOKED = "provider:tokens:revoked"
    PROVIDER_TOKENS_FORGOTTEN = "provider:tokens:forgotten"
    PROVIDER_LOGOUT_TOLD = "provider:logout:told"
    PROVIDER_LOGOUT_FAILED = "provider:logout:failed"
    SSO_IDENTITY_LINKED = "sso:identity:linked"
    SSO_IDENTITY_UNLINKED = "sso:identity:unlinked"
    SSO_SIGN_IN_REFUSED = "sso:sign-in:refused"
    SSO_LOGOUT_RECEIVED = "sso:logout:received"
    SSO_LOGOUT_REFUSED = "sso:logout:refused"
