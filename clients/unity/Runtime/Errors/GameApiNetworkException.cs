using System;

namespace GameApi
{
    /// <summary>No response arrived: no connection, a broken one, or a timeout.</summary>
    public sealed class GameApiNetworkException : GameApiException
    {
        /// <summary>A failure with what the transport says about it.</summary>
        public GameApiNetworkException(string detail, Exception inner = null)
            : base(ErrorCodes.NetworkError, detail, inner)
        {
        }
    }
}
