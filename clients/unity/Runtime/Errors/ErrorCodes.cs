namespace GameApi
{
    /// <summary>The codes of errors. The service may get new ones.</summary>
    public static class ErrorCodes
    {
        /// <summary>404: there is no such player.</summary>
        public const string PlayerNotFound = "player_not_found";

        /// <summary>404: there is no such session.</summary>
        public const string SessionNotFound = "session_not_found";

        /// <summary>404: the player has no seat in a live session.</summary>
        public const string NotInSession = "not_in_session";

        /// <summary>404 or 409: the player is not a member of the session.</summary>
        public const string NotAMember = "not_a_member";

        /// <summary>409: another player has this username.</summary>
        public const string UsernameTaken = "username_taken";

        /// <summary>409: there is a player with this id.</summary>
        public const string PlayerExists = "player_exists";

        /// <summary>409: the player has a seat in a live session and can't be deleted.</summary>
        public const string InSession = "in_session";

        /// <summary>409: the player has a seat in another live session.</summary>
        public const string AlreadyInSession = "already_in_session";

        /// <summary>409: the session has no free seat, or too few for the party.</summary>
        public const string SessionFull = "session_full";

        /// <summary>409: the session can't be joined in its status.</summary>
        public const string SessionNotJoinable = "session_not_joinable";

        /// <summary>409: the session has ended and can't be changed.</summary>
        public const string SessionOver = "session_over";

        /// <summary>409: the status can't follow the one that the session has.</summary>
        public const string IllegalTransition = "illegal_transition";

        /// <summary>409: the session needs more members to start.</summary>
        public const string NotEnoughPlayers = "not_enough_players";

        /// <summary>409: the session has more members than the new number of seats.</summary>
        public const string TooManyMembers = "too_many_members";

        /// <summary>412: the resource does not have the version that the call expects.</summary>
        public const string VersionMismatch = "version_mismatch";

        /// <summary>422: a field or parameter is not valid; see <see cref="Problem.Errors"/>.</summary>
        public const string ValidationError = "validation_error";

        /// <summary>401: there is no token, or it is not valid, for example because it has expired.</summary>
        public const string Unauthenticated = "unauthenticated";

        /// <summary>403: the token does not allow the call.</summary>
        public const string Forbidden = "forbidden";

        /// <summary>409: an earlier call with the same Idempotency-Key is still being processed.</summary>
        public const string RequestInProgress = "request_in_progress";

        /// <summary>422: an earlier call had the same Idempotency-Key, but another body.</summary>
        public const string IdempotencyKeyReused = "idempotency_key_reused";

        /// <summary>429: there were too many calls.</summary>
        public const string RateLimited = "rate_limited";

        /// <summary>503: the service has not been able to get the keys that verify tokens.</summary>
        public const string KeysUnavailable = "keys_unavailable";

        /// <summary>400: the request is not valid HTTP.</summary>
        public const string BadRequest = "bad_request";

        /// <summary>404: the service has no such path.</summary>
        public const string NotFound = "not_found";

        /// <summary>405: the path does not have this method.</summary>
        public const string MethodNotAllowed = "method_not_allowed";

        /// <summary>408: the request took too long to arrive.</summary>
        public const string RequestTimeout = "request_timeout";

        /// <summary>413: the body is larger than 64 KiB.</summary>
        public const string BodyTooLarge = "body_too_large";

        /// <summary>415: the body is not JSON by its content type.</summary>
        public const string UnsupportedMediaType = "unsupported_media_type";

        /// <summary>431: the target and the header fields of the request are larger than 64 KiB.</summary>
        public const string RequestHeadTooLarge = "request_head_too_large";

        /// <summary>500: the service failed unexpectedly.</summary>
        public const string InternalError = "internal_error";

        /// <summary>503: the service can't reach its database.</summary>
        public const string DatabaseUnavailable = "database_unavailable";

        /// <summary>503: the process is about to end, and another one takes over.</summary>
        public const string ShuttingDown = "shutting_down";

        /// <summary>Of this client: the response does not come from the service.</summary>
        public const string UnexpectedResponse = "unexpected_response";

        /// <summary>Of this client: no response arrived.</summary>
        public const string NetworkError = "network_error";
    }
}
